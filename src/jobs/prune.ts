import { BackupdError, toFailure, type Failure } from '../core/errors.ts';
import type { Job, RetentionPolicy } from '../core/job.ts';
import type { BackupId } from '../core/layout.ts';
import type { CatalogEntry } from '../core/manifest.ts';
import {
  decideRetention,
  isMassRemoval,
  toCandidate,
  type Candidate,
  type Verdict,
} from '../core/retention.ts';
import { countRemoved } from '../store/attempts.ts';
import { knownSources } from '../store/known-sources.ts';
import { acquireLock } from '../store/lock.ts';
import type { App, Discovery, JobContext } from './context.ts';
import { recordInterrupted } from './recover.ts';

export interface PruneRequest {
  /** Null: all sources that have backups, also those that are gone. */
  readonly source: string | null;
  /** Decides and removes nothing; takes no lock. */
  readonly dryRun: boolean;
  /** Goes on where most of a source's backups would be removed. */
  readonly yes: boolean;
  /** How long a run of a source is waited for, beside the moments that are always waited. */
  readonly waitMs: number;
}

/** What retention says of one backup, and whether it was removed now. */
export interface PruneVerdict {
  readonly id: BackupId;
  readonly source: string;
  readonly where: 'local';
  readonly keep: boolean;
  readonly reasons: readonly string[];
  readonly removed: boolean;
}

export interface PruneResult {
  /** By source, newest first. */
  readonly backups: readonly PruneVerdict[];
  /** Sources of which so much would be removed that it wants a yes; `count` backups each. Nothing of them was removed. */
  readonly held: readonly { readonly source: string; readonly count: number }[];
  /** Sources whose retention did not come to its end. */
  readonly failures: readonly { readonly source: string; readonly failure: Failure }[];
}

/** The least that a source which is locked is waited for: records are written in moments. */
const LOCK_WAIT_MS = 3000;

/**
 * Applies retention: removes the backups that no rule keeps, oldest first. Sources that are no longer configured keep
 * by the policy they had last. A failure of one source does not stop the others.
 * @throws BackupdError `source-not-found`, `storage-unavailable`, or the signal's reason
 */
export async function prune(
  request: PruneRequest,
  app: App,
  signal: AbortSignal,
): Promise<PruneResult> {
  const { storage, catalog } = app.context;
  const discovery = await app.discover(signal);
  const known = await knownSources(storage.dir);
  const withBackups = await catalog.sources();
  const all = new Set([
    ...withBackups,
    ...known.map((job) => job.source),
    ...discovery.sources.map(({ job }) => job.source),
  ]);
  if (request.source !== null && !all.has(request.source)) {
    throw new BackupdError('source-not-found', `there is no source "${request.source}"`, {
      hint: `Sources are: ${[...all].toSorted().join(', ') || 'none'}.`,
    });
  }
  const results: PruneResult[] = [];
  for (const source of request.source === null ? withBackups : [request.source]) {
    results.push(
      await attempt(source, signal, () => {
        const rules = chooseRules(source, { app, discovery, known });
        return request.dryRun
          ? decide({ ...request, ...rules, source }, app.context)
          : pruneSource({ ...request, ...rules, source }, app.context, signal);
      }),
    );
  }
  return merge(results);
}

/**
 * Applies the retention of a source after a backup of it; the caller no longer holds its lock. Never throws but for the
 * signal's reason: the backup is there, whatever becomes of older ones.
 */
export async function pruneAfterBackup(
  job: Job,
  context: JobContext,
  signal: AbortSignal,
): Promise<PruneResult> {
  const { source, keep, schedule } = job;
  return attempt(source, signal, () =>
    pruneSource(
      { source, keep, timezone: schedule.timezone, yes: false, waitMs: 0 },
      context,
      signal,
    ),
  );
}

interface Rules {
  readonly keep: RetentionPolicy;
  readonly timezone: string;
}

interface SourceRules extends Rules {
  readonly source: string;
  readonly yes: boolean;
  readonly waitMs: number;
}

/** @throws BackupdError `config-invalid` where the source's configuration is wrong: a policy with a slip is no decision */
function chooseRules(
  source: string,
  {
    app,
    discovery,
    known,
  }: { readonly app: App; readonly discovery: Discovery; readonly known: readonly Job[] },
): Rules {
  const problem = [...app.problems, ...discovery.problems].find(
    (candidate) => candidate.source === source && candidate.severity !== 'loud',
  );
  if (problem !== undefined) {
    throw new BackupdError('config-invalid', `${problem.option}: ${problem.message}`, {
      hint: problem.hint ?? 'Correct it; until then nothing of this source is removed.',
    });
  }
  const job =
    discovery.sources.find((bound) => bound.job.source === source)?.job ??
    known.find((candidate) => candidate.source === source);
  return {
    keep: job?.keep ?? app.settings.keep,
    timezone: job?.schedule.timezone ?? app.settings.timezone,
  };
}

async function attempt(
  source: string,
  signal: AbortSignal,
  work: () => Promise<PruneResult>,
): Promise<PruneResult> {
  try {
    const result = await work();
    signal.throwIfAborted();
    return result;
  } catch (error) {
    signal.throwIfAborted();
    return { backups: [], held: [], failures: [{ source, failure: toFailure(error) }] };
  }
}

async function decide(
  { source, keep, timezone, yes }: SourceRules,
  { catalog }: JobContext,
): Promise<PruneResult> {
  const entries = await catalog.entries(source);
  const nowMs = Date.now();
  const candidates = await Promise.all(entries.map(async (entry) => lookAt(entry, catalog, nowMs)));
  const verdicts = decideRetention(candidates, keep, timezone);
  const count = verdicts.filter((verdict) => !verdict.keep).length;
  return {
    backups: verdicts.map((verdict) => toPruneVerdict(source, verdict)),
    held: isMassRemoval(verdicts) && !yes ? [{ source, count }] : [],
    failures: [],
  };
}

/** One whose files are not as recorded is no last good backup, though nobody has read it back yet. */
async function lookAt(
  entry: CatalogEntry,
  catalog: JobContext['catalog'],
  nowMs: number,
): Promise<Candidate> {
  const candidate = toCandidate(entry, nowMs);
  const isWhole = !candidate.good || (await catalog.wrongFile(entry)) === null;
  return isWhole ? candidate : { ...candidate, good: false, flaw: 'damaged' };
}

function toPruneVerdict(source: string, { id, keep, reasons }: Verdict): PruneVerdict {
  return { id, source, where: 'local', keep, reasons, removed: false };
}

async function pruneSource(
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
  const decision = await decide(rules, context);
  const [held] = decision.held;
  if (held !== undefined) {
    context.emit({ type: 'prune-held', source, count: held.count });
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
  const failures: { source: string; failure: Failure }[] = [];
  let removed = 0;
  try {
    for (const verdict of decision.backups.filter(({ keep }) => !keep).toReversed()) {
      signal.throwIfAborted();
      if (await context.catalog.remove({ source, id: verdict.id })) {
        removed += 1;
        backups.set(verdict.id, { ...verdict, removed: true });
        context.emit({ type: 'backup-removed', source, id: verdict.id });
      } else {
        backups.set(verdict.id, { ...verdict, keep: true, reasons: ['pinned'] });
      }
    }
  } catch (error) {
    failures.push({ source, failure: toFailure(error) });
  }
  if (removed > 0) {
    await countRemoved(context.storage.dir, source, removed);
  }
  return { backups: [...backups.values()], held: [], failures };
}

function merge(results: readonly PruneResult[]): PruneResult {
  return {
    backups: results.flatMap((result) => result.backups),
    held: results.flatMap((result) => result.held),
    failures: results.flatMap((result) => result.failures),
  };
}
