import { judgeCopies, judgeDestination, type ObservedDestination } from '../core/copy-standing.ts';
import type { DestinationStatus, SourceStatus } from '../core/status.ts';
import { readDestinationLock } from '../store/read-lock.ts';
import { readUploadRecord } from '../store/upload-record.ts';
import type { App } from './context.ts';
import type { StatusProblem } from './status.ts';

/**
 * How every destination stands, with the copies of these sources and of those that nobody knows any more; asks none of
 * them.
 */
export async function listDestinations(
  { context, settings }: Pick<App, 'context' | 'settings'>,
  sources: readonly SourceStatus[],
  now: Date,
): Promise<readonly DestinationStatus[]> {
  const nowMs = now.getTime();
  const observed = await observeDestinations(context);
  const copies = sources.flatMap((source) => source.copies);
  const known = new Set(sources.map(({ source }) => source));
  for (const source of observed.length === 0 ? [] : await context.catalog.sources()) {
    if (!known.has(source)) {
      const entries = await context.catalog.entries(source);
      copies.push(...observed.map((each) => judgeCopies(each, entries, settings, nowMs)));
    }
  }
  return observed.map((each) => {
    const { name } = each.settings;
    const own = copies.filter(({ destination }) => destination === name);
    return judgeDestination(each, own, nowMs);
  });
}

export async function observeDestinations({
  destinations,
  storage,
}: App['context']): Promise<readonly ObservedDestination[]> {
  return Promise.all(
    destinations.map(async ({ settings }) => ({
      settings,
      record: await readUploadRecord(storage.dir, settings.name),
      running: (await readDestinationLock(storage.dir, settings.name))?.alive === true,
    })),
  );
}

/** Copies that are not made are a failure as backups that are not made: the host may burn down tonight. */
export function describeTrouble(destination: DestinationStatus): readonly StatusProblem[] {
  const { state, failure, lastSuccessAt, pendingBackups } = destination;
  const name = destination.destination;
  const pending = `${pendingBackups} ${pendingBackups === 1 ? 'backup is' : 'backups are'} pending`;
  if (failure !== null) {
    const { code, message, hint } = failure;
    return [{ code, message: `the last upload to ${name} failed: ${message}; ${pending}`, hint }];
  }
  if (state === 'overdue') {
    return [
      {
        code: 'upload-overdue',
        message: `the last upload to ${name} was at ${lastSuccessAt}, and ${pending}`,
        hint: 'Look whether the daemon runs. By hand: "backupd upload".',
      },
    ];
  }
  return state === 'lost'
    ? [
        {
          code: 'copy-lost',
          message: `copies at ${name} are missing or altered; ${pending}`,
          hint: '"backupd show ID" says what was found. They are sent again by the next upload; look for who changes objects there.',
        },
      ]
    : [];
}

/** What retention did not come to its end with; what it removes nothing of fills the disk one day. */
export function describeRetention(
  sources: readonly SourceStatus[],
  destinations: readonly DestinationStatus[],
): readonly StatusProblem[] {
  const failed = [
    ...sources.map(
      ({ source, retentionFailure }) => [`of "${source}" here`, retentionFailure] as const,
    ),
    ...destinations.map(
      ({ destination, retentionFailure }) => [`at ${destination}`, retentionFailure] as const,
    ),
  ];
  return failed.flatMap(([where, failure]) => {
    if (failure === null) {
      return [];
    }
    const { code, message, hint } = failure;
    return [{ code, message: `retention ${where} failed: ${message}`, hint }];
  });
}
