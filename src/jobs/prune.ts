import { BackupdError } from '../core/errors.ts';
import type { Job } from '../core/job.ts';
import { recordRetention } from '../store/attempts.ts';
import { changeUploadRecord } from '../store/upload-record.ts';
import { reachDestination, whileLocked } from './at-destination.ts';
import type { App, ConfiguredDestination, JobContext } from './context.ts';
import { decideLocal, pruneLocal, type SourceRules } from './prune-local.ts';
import { decideRemote, type RemotePrune } from './decide-remote.ts';
import { pruneRemote } from './prune-remote.ts';
import {
  NOTHING_PRUNED,
  attemptPrune,
  LOCAL,
  mergeResults,
  retentionFailure,
  type PruneResult,
  whyUnfinished,
} from './prune-result.ts';
import { readRules, type RuleBook } from './retention-rules.ts';

export interface PruneRequest {
  /** Null: all sources that have backups, also those that are gone. */
  readonly source: string | null;
  /** Decides and removes nothing; takes no lock. */
  readonly dryRun: boolean;
  /** Goes on where most of a source's backups would be removed. */
  readonly yes: boolean;
  /** How long a run of a source, or an upload, is waited for, beside the moments that are always waited. */
  readonly waitMs: number;
}

/**
 * Applies retention here and at every destination, to each by its own rules: removes the backups that none keeps, oldest
 * first. What fails for one source or at one place stops no other.
 * @throws BackupdError `source-not-found`, `storage-unavailable`, or the signal's reason
 */
export async function prune(
  request: PruneRequest,
  app: App,
  signal: AbortSignal,
): Promise<PruneResult> {
  const { context } = app;
  const rules = await readRules(app, await app.discover(signal));
  const withBackups = await context.catalog.sources();
  const known = new Set([...withBackups, ...rules.sources]);
  const { source } = request;
  const isKnown = source === null || known.has(source);
  const results: PruneResult[] = [];
  for (const name of source === null ? withBackups : isKnown ? [source] : []) {
    results.push(await pruneHere(name, request, { rules, context }, signal));
  }
  // Side by side: one that is down delays no other.
  results.push(
    ...(await Promise.all(
      context.destinations.map((configured) =>
        pruneThere(configured, request, { rules, context }, signal),
      ),
    )),
  );
  signal.throwIfAborted();
  const result = mergeResults(results);
  if (!isKnown && result.backups.length + result.failures.length === 0) {
    throw new BackupdError('source-not-found', `there is no source "${source}"`, {
      hint: `Sources are: ${[...known].toSorted().join(', ') || 'none'}.`,
    });
  }
  return result;
}

interface Around {
  readonly rules: RuleBook;
  readonly context: JobContext;
}

async function pruneHere(
  source: string,
  request: PruneRequest,
  { rules, context }: Around,
  signal: AbortSignal,
): Promise<PruneResult> {
  return attemptPrune({ source, where: LOCAL }, signal, () => {
    const { yes, waitMs } = request;
    const own: SourceRules = { ...rules.lookUpStrictly(source), source, yes, waitMs };
    return request.dryRun ? decideLocal(own, context) : applyHere(own, context, signal);
  });
}

/** Writes down how it ended, for `status`. Another run that holds the source says nothing of its retention. */
async function applyHere(
  rules: SourceRules,
  context: JobContext,
  signal: AbortSignal,
): Promise<PruneResult> {
  const subject = { source: rules.source, where: LOCAL };
  const result = await attemptPrune(subject, signal, () => pruneLocal(rules, context, signal));
  const failure = whyUnfinished(result);
  if (failure?.code === 'locked') {
    return result;
  }
  const noted = await attemptPrune(subject, signal, async () => {
    await recordRetention(context.storage.dir, rules.source, failure);
    return NOTHING_PRUNED;
  });
  return mergeResults([result, noted]);
}

async function pruneThere(
  configured: ConfiguredDestination,
  { source, yes, dryRun, waitMs }: PruneRequest,
  { rules, context }: Around,
  signal: AbortSignal,
): Promise<PruneResult> {
  const { settings } = configured;
  const wanted: RemotePrune = { settings, rules, source, yes };
  return attemptPrune({ source: null, where: settings.name }, signal, async () => {
    if (dryRun) {
      return decideRemote(wanted, await reachDestination(configured, context, signal), signal);
    }
    return whileLocked(
      configured,
      { context, waitMs },
      async (held) => {
        const at = await reachDestination(configured, context, held);
        const result = await pruneRemote(wanted, at, held);
        await changeUploadRecord(context.storage.dir, settings.name, (record) => ({
          ...record,
          retentionFailure: retentionFailure(result),
        }));
        return result;
      },
      signal,
    );
  });
}

/**
 * Applies the retention of a source here after a backup of it; the caller no longer holds its lock. Never throws but for
 * the signal's reason: the backup is there, whatever becomes of older ones.
 */
export async function pruneAfterBackup(
  job: Job,
  context: JobContext,
  signal: AbortSignal,
): Promise<PruneResult> {
  const { source, keep, schedule } = job;
  const rules = { source, keep, timezone: schedule.timezone, yes: false, waitMs: 0 };
  return applyHere(rules, context, signal);
}
