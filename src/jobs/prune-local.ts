import { copyRules, pendingCopies } from '../core/copies.ts';
import { toFailure, type Failure } from '../core/errors.ts';
import { drilledAt, type CatalogEntry } from '../core/catalog-entry.ts';
import {
  decideRetention,
  isMassRemoval,
  toCandidate,
  type Candidate,
  type Verdict,
} from '../core/retention.ts';
import { countRemoved } from '../store/attempts.ts';
import { acquireLock } from '../store/lock.ts';
import type { JobContext } from './context.ts';
import { LOCAL, type PruneResult, type PruneVerdict } from './prune-result.ts';
import { recordInterrupted } from './recover.ts';
import type { Rules } from './retention-rules.ts';

export interface SourceRules extends Rules {
  readonly source: string;
  /** Goes on where most of the backups would be removed. */
  readonly yes: boolean;
  /** How long a run of the source is waited for, beside the moments that are always waited. */
  readonly waitMs: number;
}

/** The least that a source which is locked is waited for: records are written in moments. */
const LOCK_WAIT_MS = 3000;

/** What retention says of the backups of a source in `/backups`; removes nothing and takes no lock. */
export async function decideLocal(
  { source, yes, ...rules }: SourceRules,
  { catalog, destinations }: JobContext,
): Promise<PruneResult> {
  const entries = await catalog.entries(source);
  const nowMs = Date.now();
  const candidates = await Promise.all(entries.map(async (entry) => lookAt(entry, catalog, nowMs)));
  const whole = new Set(candidates.filter(({ flaw }) => flaw !== DAMAGED).map(({ id }) => id));
  const sendable = entries.filter(({ manifest }) => whole.has(manifest.id));
  const holds = new Map<string, string[]>();
  const proven = newestProven(sendable);
  if (proven !== null) {
    holds.set(proven, ['last to pass a drill']);
  }
  for (const { settings } of destinations) {
    // The newest one only: all that a place which is down for good would still want would fill the disk.
    const newest = pendingCopies(sendable, copyRules(settings, rules), nowMs).at(-1)?.manifest.id;
    if (newest !== undefined) {
      holds.set(newest, [...(holds.get(newest) ?? []), `newest not yet at "${settings.name}"`]);
    }
  }
  const verdicts = decideRetention(
    candidates.map((candidate) => ({ ...candidate, holds: holds.get(candidate.id) ?? [] })),
    rules.keep,
    rules.timezone,
  );
  const count = verdicts.filter((verdict) => !verdict.keep).length;
  return {
    backups: verdicts.map((verdict) => toLocalVerdict(source, verdict)),
    held: isMassRemoval(verdicts) && !yes ? [{ source, where: LOCAL, count }] : [],
    failures: [],
  };
}

/** The one that was restored and compared last: of no other is as much known. */
function newestProven(entries: readonly CatalogEntry[]): string | null {
  const passed = entries.filter((entry) => drilledAt(entry) !== null);
  const [last] = passed.toSorted((one, other) =>
    (drilledAt(one) ?? '') < (drilledAt(other) ?? '') ? 1 : -1,
  );
  return last?.manifest.id ?? null;
}

const DAMAGED = 'damaged';

/** One whose files are not as recorded is no last good backup, though nobody has read it back yet. */
async function lookAt(
  entry: CatalogEntry,
  catalog: JobContext['catalog'],
  nowMs: number,
): Promise<Candidate> {
  const candidate = toCandidate(entry, nowMs);
  const isWhole = !candidate.good || (await catalog.wrongFile(entry)) === null;
  return isWhole ? candidate : { ...candidate, good: false, flaw: DAMAGED };
}

function toLocalVerdict(source: string, { id, keep, reasons }: Verdict): PruneVerdict {
  return { id, source, where: LOCAL, keep, reasons, removed: false };
}

/** Applies the retention of a source in `/backups`: removes what no rule keeps, oldest first. */
export async function pruneLocal(
  rules: SourceRules,
  context: JobContext,
  signal: AbortSignal,
): Promise<PruneResult> {
  const { storage, catalog, command } = context;
  const { source } = rules;
  await using lock = await acquireLock(
    storage.dir,
    source,
    { command, waitMs: Math.max(LOCK_WAIT_MS, rules.waitMs) },
    signal,
  );
  // Whoever takes over from a run that died is the only one to know of it.
  await recordInterrupted(source, lock.dead, context);
  await catalog.sweep(source);
  const decision = await decideLocal(rules, context);
  const [held] = decision.held;
  if (held !== undefined) {
    context.emit({ type: 'prune-held', ...held });
    return decision;
  }
  return await removeAll(decision, { source, context }, AbortSignal.any([signal, lock.lost]));
}

/** Oldest first, so that what an interruption leaves is what retention would rather have. */
async function removeAll(
  decision: PruneResult,
  { source, context }: { readonly source: string; readonly context: JobContext },
  signal: AbortSignal,
): Promise<PruneResult> {
  const backups = new Map(decision.backups.map((verdict) => [verdict.id, verdict]));
  const failures: { source: string; where: string; failure: Failure }[] = [];
  let removed = 0;
  try {
    for (const verdict of decision.backups.filter(({ keep }) => !keep).toReversed()) {
      signal.throwIfAborted();
      if (await context.catalog.remove({ source, id: verdict.id })) {
        removed += 1;
        backups.set(verdict.id, { ...verdict, removed: true });
        context.emit({ type: 'backup-removed', source, where: LOCAL, id: verdict.id });
      } else {
        backups.set(verdict.id, { ...verdict, keep: true, reasons: ['pinned'] });
      }
    }
  } catch (error) {
    failures.push({ source, where: LOCAL, failure: toFailure(error) });
  }
  if (removed > 0) {
    await countRemoved(context.storage.dir, source, removed);
  }
  return { backups: [...backups.values()], held: [], failures };
}
