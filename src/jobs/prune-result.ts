import { toFailure, type Failure } from '../core/errors.ts';
import type { BackupId } from '../core/layout.ts';

/** Where retention is applied: `local` is `/backups`, anything else the name of a destination. */
export const LOCAL = 'local';

/** What retention says of one backup, and whether it was removed now. */
export interface PruneVerdict {
  readonly id: BackupId;
  readonly source: string;
  readonly where: string;
  readonly keep: boolean;
  readonly reasons: readonly string[];
  readonly removed: boolean;
}

export interface PruneResult {
  /** By place, by source, newest first. */
  readonly backups: readonly PruneVerdict[];
  /** Sources of which so much would be removed that it wants a yes; `count` backups each. Nothing of them was removed. */
  readonly held: readonly {
    readonly source: string;
    readonly where: string;
    readonly count: number;
  }[];
  /** What retention did not come to its end with; a destination as a whole has no source. */
  readonly failures: readonly {
    readonly source: string | null;
    readonly where: string;
    readonly failure: Failure;
  }[];
}

export const NOTHING_PRUNED: PruneResult = { backups: [], held: [], failures: [] };

/** The results of several places or sources as one, in their order. */
export function mergeResults(results: readonly PruneResult[]): PruneResult {
  return {
    backups: results.flatMap((result) => result.backups),
    held: results.flatMap((result) => result.held),
    failures: results.flatMap((result) => result.failures),
  };
}

/** Does a part of the work; what it fails with is a part of the result. Throws the signal's reason only. */
export async function attemptPrune(
  subject: { readonly source: string | null; readonly where: string },
  signal: AbortSignal,
  work: () => Promise<PruneResult>,
): Promise<PruneResult> {
  try {
    const result = await work();
    signal.throwIfAborted();
    return result;
  } catch (error) {
    signal.throwIfAborted();
    return { ...NOTHING_PRUNED, failures: [{ ...subject, failure: toFailure(error) }] };
  }
}

/** Why nothing was removed of a source. */
export function heldFailure({ source, count }: PruneResult['held'][number]): Failure {
  return {
    code: 'usage',
    message: `${count} backups would be removed, more than half of them, so none is`,
    hint: `Look at BACKUPD_KEEP. Where it is meant, run "backupd prune ${source} --yes".`,
  };
}

/** Why the retention of one source did not come to its end; null: it did. */
export function whyUnfinished({ failures, held }: PruneResult): Failure | null {
  const [failed] = failures;
  const [first] = held;
  return failed?.failure ?? (first === undefined ? null : heldFailure(first));
}

/** What is to be remembered of the retention at a destination, of all sources, until it goes well; null: it did. */
export function retentionFailure(result: PruneResult): Failure | null {
  const failure = whyUnfinished(result);
  const [first] = result.failures.length === 0 ? result.held : [];
  return failure === null || first === undefined
    ? failure
    : { ...failure, message: `${first.source}: ${failure.message}` };
}
