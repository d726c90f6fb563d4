import { isGood } from '../core/catalog-entry.ts';
import { toFailure } from '../core/errors.ts';
import type { Attempt } from '../core/events.ts';
import { storedBytes } from '../core/manifest.ts';
import type {
  HistoryEntry,
  PageReport,
  PageSource,
  RecentFailure,
  RunningWork,
} from '../core/page-report.ts';
import type { SourceStatus, StatusReport } from '../core/status.ts';
import { readAttempts } from '../store/attempts.ts';
import { readDestinationLock, readLock } from '../store/read-lock.ts';
import type { App, Discovery } from './context.ts';
import { buildStatus } from './status.ts';

/** How many backups of a source are told of. */
const HISTORY = 30;
/** How many failures are told of. */
const FAILURES_SHOWN = 10;

type PageApp = Pick<App, 'problems' | 'context' | 'settings' | 'storageFailure'>;

/**
 * What the status page shows, from what is on disk; asks neither Docker nor a network. A directory that cannot be read is
 * a problem in it.
 * @param container how the container of backupd is called
 */
export async function buildPageReport(
  app: PageApp,
  discovery: Discovery,
  container: string,
  now: Date,
): Promise<PageReport> {
  const { context, settings } = app;
  const frame = {
    at: now.toISOString(),
    version: context.backupdVersion,
    namespace: context.storage.namespace,
    container,
    timezone: settings.timezone,
  };
  try {
    const status = await buildStatus(app, discovery, now);
    return {
      ...frame,
      ...status,
      sources: await Promise.all(
        status.sources.map(async (source) => describeSource(app, source, container)),
      ),
      running: await findRunning(app, status),
      failures: await findFailures(app, status.sources),
      disk: await context.storage.space(),
    };
  } catch (error) {
    const failure = toFailure(error);
    if (failure.code !== 'storage-unavailable') {
      throw error;
    }
    const status = await buildStatus({ ...app, storageFailure: failure }, discovery, now);
    return { ...frame, ...status, sources: [], running: [], failures: [], disk: null };
  }
}

async function describeSource(
  { context }: PageApp,
  status: SourceStatus,
  container: string,
): Promise<PageSource> {
  const entries = await context.catalog.entries(status.source);
  const history = entries
    .filter(({ manifest }) => manifest.kind !== 'safety')
    .slice(0, HISTORY)
    .map((entry): HistoryEntry => ({
      id: entry.manifest.id,
      at: entry.manifest.finishedAt,
      sizeBytes: storedBytes(entry.manifest),
      good: isGood(entry),
    }));
  return {
    ...status,
    history: history.toReversed(),
    restoreCommand: `docker exec -it ${container} restore ${status.source}`,
  };
}

async function findRunning(
  { context: { storage } }: PageApp,
  { sources, destinations }: StatusReport,
): Promise<readonly RunningWork[]> {
  const held = await Promise.all([
    ...sources.map(async ({ source }) => ({
      source,
      destination: null,
      lock: await readLock(storage.dir, source),
    })),
    ...destinations.map(async ({ destination }) => ({
      source: null,
      destination,
      lock: await readDestinationLock(storage.dir, destination),
    })),
  ]);
  return held.flatMap(({ source, destination, lock }) =>
    lock?.alive === true
      ? [
          {
            source,
            destination,
            command: lock.command,
            since: lock.run?.startedAt ?? lock.since,
          },
        ]
      : [],
  );
}

async function findFailures(
  { context: { storage } }: PageApp,
  sources: readonly SourceStatus[],
): Promise<readonly RecentFailure[]> {
  const found = await Promise.all(
    sources.map(async (status) => {
      const { attempts } = await readAttempts(storage.dir, status.source);
      return [...failedRuns(status, attempts), ...failedRestore(status)];
    }),
  );
  return found
    .flat()
    .toSorted((one, other) => (one.at < other.at ? 1 : -1))
    .slice(0, FAILURES_SHOWN);
}

/** @param attempts newest first */
function failedRuns(
  { source, lastSuccessAt }: SourceStatus,
  attempts: readonly Attempt[],
): readonly RecentFailure[] {
  const found: RecentFailure[] = [];
  let isFirst = true;
  for (const { at, outcome, failure } of attempts.filter(({ outcome }) => outcome !== 'skipped')) {
    if (outcome === 'success' || failure === null) {
      isFirst = true;
      continue;
    }
    const { code, message, hint } = failure;
    const later = isFirst ? undefined : found.at(-1);
    isFirst = false;
    if (later?.code === code && later.message === message) {
      found[found.length - 1] = { ...later, since: at, count: later.count + 1 };
    } else {
      const over = lastSuccessAt !== null && at < lastSuccessAt;
      found.push({ source, at, since: at, count: 1, what: 'backup', code, message, hint, over });
    }
  }
  return found;
}

function failedRestore({ source, lastRestore }: SourceStatus): readonly RecentFailure[] {
  if (lastRestore === null || lastRestore.outcome === 'success') {
    return [];
  }
  const { at, code, outcome } = lastRestore;
  const message = lastRestore.message ?? `it was ${outcome}`;
  return [
    { source, at, since: at, count: 1, what: 'restore', code, message, hint: null, over: false },
  ];
}
