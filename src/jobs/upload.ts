import { copyRules, pendingCopies } from '../core/copies.ts';
import { BackupdError, toFailure, type Failure } from '../core/errors.ts';
import type { BackupId } from '../core/layout.ts';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { changeUploadRecord } from '../store/upload-record.ts';
import {
  reachDestination,
  recordPlace,
  tellOfClocks,
  whileLocked,
  type AtDestination,
} from './at-destination.ts';
import { compareCopies } from './compare-copies.ts';
import type { App, ConfiguredDestination, JobContext } from './context.ts';
import { findConfigured } from './named-destination.ts';
import { claimNamespace, takeNamespace } from './owner.ts';
import { pruneRemote } from './prune-remote.ts';
import {
  attemptPrune,
  mergeResults,
  NOTHING_PRUNED,
  retentionFailure,
  type PruneResult,
} from './prune-result.ts';
import { readRules, type RuleBook } from './retention-rules.ts';
import { sendBackup } from './send-backup.ts';
import { sweepUploads } from './sweep-uploads.ts';

export interface UploadRequest {
  /** Null: all of them. */
  readonly destination: string | null;
  /** Makes this `/backups` the owner of its namespace there, whoever was it. */
  readonly takeOver: boolean;
  /** How long another upload or prune there is waited for. */
  readonly waitMs: number;
}

/** What became of one backup that was pending at a destination. */
interface Sending {
  readonly id: BackupId;
  readonly source: string;
  readonly destination: string;
  readonly ok: boolean;
  /** Bytes of files that were sent. */
  readonly bytes: number;
  readonly durationMs: number;
  /** Null where it is there. */
  readonly failure: Failure | null;
}

export interface UploadResult {
  /** By destination, oldest first. */
  readonly sendings: readonly Sending[];
  /** Destinations at which the work did not come to its end. */
  readonly failures: readonly { readonly destination: string; readonly failure: Failure }[];
  /** What retention did there after it. */
  readonly retention: PruneResult;
}

/**
 * Sends to each destination what it is to have and has not yet, side by side, then applies its retention. What fails at
 * one stops no other.
 * @throws BackupdError `config-invalid` where no destination is configured, `usage` for one that is not,
 * `storage-unavailable`, or the signal's reason
 */
export async function upload(
  request: UploadRequest,
  app: App,
  signal: AbortSignal,
): Promise<UploadResult> {
  const chosen = chooseDestinations(request.destination, app.context);
  const rules = await readRules(app, await app.discover(signal));
  const results = await Promise.all(
    chosen.map((configured) => uploadTo(configured, { ...request, rules }, app.context, signal)),
  );
  signal.throwIfAborted();
  return {
    sendings: results.flatMap((result) => result.sendings),
    failures: results.flatMap((result) => result.failures),
    retention: mergeResults(results.map((result) => result.retention)),
  };
}

function chooseDestinations(
  name: string | null,
  { destinations }: JobContext,
): readonly ConfiguredDestination[] {
  if (destinations.length === 0) {
    throw new BackupdError('config-invalid', 'no destination is configured', {
      hint: 'Set BACKUPD_S3_BUCKET, or name destinations in BACKUPD_DESTINATIONS. docs/off-site.md shows how.',
    });
  }
  return name === null ? destinations : [findConfigured(name, destinations)];
}

/** How one destination is to be served. */
export interface DestinationRequest extends Pick<UploadRequest, 'takeOver' | 'waitMs'> {
  readonly rules: RuleBook;
}

/**
 * The work at one destination. Never throws: what fails is in the result, and in the record of the destination, unless
 * somebody else is at work there.
 */
export async function uploadTo(
  configured: ConfiguredDestination,
  request: DestinationRequest,
  context: JobContext,
  signal: AbortSignal,
): Promise<UploadResult> {
  const { name } = configured.settings;
  try {
    return await whileLocked(
      configured,
      { context, waitMs: request.waitMs },
      (held) => recorded(configured, context, held, (whole) => visit(configured, request, whole)),
      signal,
    );
  } catch (error) {
    const failure = toFailure(error);
    if (!signal.aborted) {
      context.emit({ type: 'upload-failed', source: null, id: null, destination: name, failure });
    }
    return { sendings: [], failures: [{ destination: name, failure }], retention: NOTHING_PRUNED };
  }
}

interface Visit {
  readonly context: JobContext;
  readonly signal: AbortSignal;
}

/**
 * Keeps the record of an attempt. It counts as failed from its beginning, so that one which ends this process counts;
 * one that is told to stop is left as begun, to be gone on with.
 */
async function recorded(
  { settings: { name } }: ConfiguredDestination,
  context: JobContext,
  signal: AbortSignal,
  work: (visit: Visit) => Promise<UploadResult>,
): Promise<UploadResult> {
  const { dir } = context.storage;
  const at = new Date().toISOString();
  await changeUploadRecord(dir, name, (record) => ({
    ...record,
    lastAttempt: { at, finishedAt: null },
    failedInRow: record.failedInRow + 1,
  }));
  let result: UploadResult;
  try {
    result = await work({ context, signal });
  } catch (error) {
    const failure = toFailure(error);
    result = {
      sendings: [],
      failures: [{ destination: name, failure }],
      retention: NOTHING_PRUNED,
    };
  }
  if (signal.aborted) {
    await changeUploadRecord(dir, name, (record) => ({
      ...record,
      failedInRow: Math.max(0, record.failedInRow - 1),
    }));
    signal.throwIfAborted();
  }
  await recordEnd(result, { name, at, context });
  return result;
}

async function recordEnd(
  result: UploadResult,
  {
    name,
    at,
    context,
  }: { readonly name: string; readonly at: string; readonly context: JobContext },
): Promise<void> {
  const failures = [
    ...result.failures.map(({ failure }) => failure),
    ...result.sendings.flatMap(({ failure }) => failure ?? []),
  ];
  const [failure = null] = failures;
  for (const { failure } of result.failures) {
    context.emit({ type: 'upload-failed', source: null, id: null, destination: name, failure });
  }
  const finishedAt = new Date().toISOString();
  await changeUploadRecord(context.storage.dir, name, (record) => ({
    ...record,
    lastAttempt: { at, finishedAt },
    failure,
    ...(failure === null
      ? {
          lastSuccessAt: finishedAt,
          failedInRow: 0,
          retentionFailure: retentionFailure(result.retention),
        }
      : {
          failuresTotal: {
            ...record.failuresTotal,
            [failure.code]: (record.failuresTotal[failure.code] ?? 0) + 1,
          },
        }),
  }));
}

async function visit(
  configured: ConfiguredDestination,
  { takeOver, rules }: DestinationRequest,
  { context, signal }: Visit,
): Promise<UploadResult> {
  const { settings } = configured;
  const at = await reachDestination(configured, context, signal);
  await recordPlace(at);
  tellOfClocks(at);
  const isNew = await (takeOver ? takeNamespace(at, signal) : claimNamespace(at, signal));
  await compareCopies(await context.catalog.all(), { ...at, isNew }, signal);
  const { pending, failures } = await listPending(configured, context, rules);
  const sendings: Sending[] = [];
  const wanted: CatalogEntry[] = [];
  for (const entry of pending) {
    const sending = await send(entry, at, signal);
    if (sending === null) {
      continue;
    }
    sendings.push(sending);
    wanted.push(entry);
    if (isOfDestination(sending.failure)) {
      // What comes after it would only fail with it.
      return { sendings, failures, retention: NOTHING_PRUNED };
    }
  }
  await sweepUploads(wanted, at, signal);
  const where = settings.name;
  const retention = await attemptPrune({ source: null, where }, signal, () =>
    pruneRemote({ settings, rules, source: null, yes: false }, at, signal),
  );
  return { sendings, failures, retention };
}

/**
 * Of all sources, oldest first: a destination that was away for long catches up in the order of time. What cannot be read of
 * one is a failure, and keeps no other from being sent.
 */
async function listPending(
  { settings }: ConfiguredDestination,
  { catalog }: JobContext,
  rules: RuleBook,
): Promise<Pick<UploadResult, 'failures'> & { readonly pending: readonly CatalogEntry[] }> {
  const pending: CatalogEntry[] = [];
  const failures: UploadResult['failures'][number][] = [];
  for (const source of await catalog.sources()) {
    const own = copyRules(settings, rules.lookUp(source));
    try {
      pending.push(...pendingCopies(await catalog.entries(source), own, Date.now()));
    } catch (error) {
      failures.push({ destination: settings.name, failure: toFailure(error) });
    }
  }
  pending.sort((one, other) => (one.manifest.id < other.manifest.id ? -1 : 1));
  return { pending, failures };
}

/** Null where the backup was removed meanwhile. */
async function send(
  entry: CatalogEntry,
  at: AtDestination,
  signal: AbortSignal,
): Promise<Sending | null> {
  const { source, id } = entry.manifest;
  const destination = at.destination.name;
  const beganAt = performance.now();
  function end(bytes: number, failure: Failure | null): Sending {
    const durationMs = Math.round(performance.now() - beganAt);
    return { id, source, destination, ok: failure === null, bytes, durationMs, failure };
  }
  try {
    const sending = end(await sendBackup(entry, at, signal), null);
    const { bytes, durationMs } = sending;
    at.context.emit({ type: 'uploaded', source, id, destination, bytes, durationMs });
    return sending;
  } catch (error) {
    signal.throwIfAborted();
    const failure = toFailure(error);
    if (failure.code === 'backup-not-found') {
      return null;
    }
    at.context.emit({ type: 'upload-failed', source, id, destination, failure });
    return end(0, failure);
  }
}

/** Whether it is not of this one backup. */
function isOfDestination(failure: Failure | null): boolean {
  return (
    failure !== null && failure.code !== 'archive-corrupt' && failure.code !== 'storage-unavailable'
  );
}
