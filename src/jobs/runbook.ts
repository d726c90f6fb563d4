import { hasCopy } from '../core/copies.ts';
import type { DestinationSettings } from '../core/destination-settings.ts';
import type { Job } from '../core/job.ts';
import type { Manifest } from '../core/manifest.ts';
import type { OptionInForce } from '../core/settings.ts';
import type { OwnContainer } from '../core/own-container.ts';
import type { DestinationStatus, SourceStatus } from '../core/status.ts';
import type { App } from './context.ts';
import { buildStatus } from './status.ts';

/** All that whoever restores needs to know of this very configuration; no secret. */
export interface Runbook {
  readonly at: string;
  readonly version: string;
  readonly namespace: string;
  /** Where the backups are, as backupd sees it: `/backups`. */
  readonly dir: string;
  /** Null outside Docker, or where Docker cannot be asked. */
  readonly own: OwnContainer | null;
  readonly sources: readonly RunbookSource[];
  readonly destinations: readonly RunbookDestination[];
  /** As `config` shows them. */
  readonly options: readonly OptionInForce[];
}

export interface RunbookSource {
  readonly status: SourceStatus;
  /** Null for one that is gone. */
  readonly job: Job | null;
  /** Its last good backup, or else the newest one of which there is a copy; null: there is none. */
  readonly latest: Manifest | null;
  /** The destination whose copy is taken, since it is not whole here; null: it is. */
  readonly takenFrom: string | null;
}

export interface RunbookDestination {
  readonly settings: DestinationSettings;
  readonly status: DestinationStatus | null;
}

/** Collects what a runbook says; asks Docker, and no destination. @throws BackupdError what kept it from being known */
export async function collectRunbook(app: App, now: Date, signal: AbortSignal): Promise<Runbook> {
  const { context, settings } = app;
  const discovery = await app.discover(signal);
  const { sources, destinations } = await buildStatus(app, discovery, now);
  return {
    at: now.toISOString(),
    version: context.backupdVersion,
    namespace: context.storage.namespace,
    dir: settings.dir,
    // Without Docker the backups are there all the same, and how to restore them is wanted.
    own: discovery.docker === null ? await app.ownContainer(signal) : null,
    sources: await Promise.all(
      sources.map(async (status) => ({
        status,
        job: discovery.sources.find(({ job }) => job.source === status.source)?.job ?? null,
        ...(await findLatest(app, status)),
      })),
    ),
    destinations: settings.destinations.map((each) => ({
      settings: each,
      status: destinations.find(({ destination }) => destination === each.name) ?? null,
    })),
    options: app.options,
  };
}

async function findLatest(
  { context: { catalog, destinations } }: App,
  { source, lastSuccessId }: SourceStatus,
): Promise<Pick<RunbookSource, 'latest' | 'takenFrom'>> {
  if (lastSuccessId !== null) {
    return { latest: await catalog.manifest(source, lastSuccessId), takenFrom: null };
  }
  const names = destinations.map(({ settings }) => settings.name);
  const damaged = (await catalog.entries(source)).filter(
    ({ manifest }) => manifest.kind !== 'safety' && !manifest.suspicious,
  );
  // Ids sort by time.
  for (const entry of damaged.toSorted((one, other) =>
    one.manifest.id < other.manifest.id ? 1 : -1,
  )) {
    const takenFrom = names.find((name) => hasCopy(entry, name));
    if (takenFrom !== undefined) {
      return { latest: await catalog.manifest(source, entry.manifest.id), takenFrom };
    }
  }
  return { latest: null, takenFrom: null };
}
