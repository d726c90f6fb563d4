import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { ChannelStatus, DestinationStatus, SourceStatus } from '../core/status.ts';
import { DESTINATION_GAUGES, SOURCE_GAUGES } from './series.ts';

/** What is true at the moment of a scrape. */
export interface Snapshot {
  readonly sources: readonly SourceStatus[];
  readonly destinations: readonly DestinationStatus[];
  readonly configProblems: number;
  readonly channels: readonly ChannelStatus[];
  readonly disk: { readonly freeBytes: number; readonly sizeBytes: number };
}

export interface Metrics {
  readonly contentType: string;
  /** The text of a scrape. Nothing is counted in this process, so it is right after a restart too. */
  render(snapshot: Snapshot): Promise<string>;
}

/** Gauges that end like counters, which Prometheus' own check refuses; each is the sum of another that stays. */
const MISNAMED = ['handles', 'requests', 'resources'].map((kind) => `nodejs_active_${kind}_total`);

/** The metrics of this process, and those of the backups as each snapshot has them. */
export function metrics(version: string): Metrics {
  const own = new Registry();
  collectDefaultMetrics({ register: own });
  for (const name of MISNAMED) {
    own.removeSingleMetric(name);
  }
  return {
    contentType: own.contentType,
    async render(snapshot) {
      // A registry for each scrape: a source that was forgotten leaves no series behind.
      const registry = new Registry();
      describeBackupd(registry, version, snapshot);
      describeSources(registry, snapshot);
      describeDestinations(registry, snapshot.destinations);
      describeChannels(registry, snapshot.channels);
      return `${await registry.metrics()}${await own.metrics()}`;
    },
  };
}

function describeBackupd(
  registry: Registry,
  version: string,
  { configProblems, disk }: Snapshot,
): void {
  gauge(registry, 'backupd_build_info', 'The version that runs.', ['version']).set({ version }, 1);
  gauge(
    registry,
    'backupd_config_problems',
    'Problems of the configuration, see "backupd status".',
  ).set(configProblems);
  gauge(registry, 'backupd_disk_free_bytes', 'Free space where the backups are.').set(
    disk.freeBytes,
  );
  gauge(registry, 'backupd_disk_size_bytes', 'Size of the file system where the backups are.').set(
    disk.sizeBytes,
  );
}

function describeSources(
  registry: Registry,
  { sources, destinations }: Pick<Snapshot, 'sources' | 'destinations'>,
): void {
  for (const [name, help, value] of SOURCE_GAUGES) {
    const series = gauge(registry, name, help, ['source']);
    for (const status of sources) {
      series.set({ source: status.source }, value(status));
    }
  }
  const info = gauge(registry, 'backupd_source_info', 'The sources there are.', [
    'source',
    'engine',
  ]);
  const warnings = gauge(registry, 'backupd_backup_warnings', 'Warnings of the newest backup.', [
    'source',
    'code',
  ]);
  const runs = counter(registry, 'backupd_backup_runs_total', 'Runs by how they ended.', [
    'source',
    'result',
  ]);
  const removed = counter(
    registry,
    'backupd_retention_removed_total',
    'Backups that retention removed.',
    ['source', 'destination'],
  );
  for (const { source, engine, warnings: counts, runsTotal, removedTotal } of sources) {
    info.set({ source, engine: engine ?? 'unknown' }, 1);
    for (const [code, count] of Object.entries(counts)) {
      warnings.set({ source, code }, count);
    }
    for (const [result, count] of Object.entries(runsTotal)) {
      runs.inc({ source, result }, count);
    }
    removed.inc({ source, destination: 'local' }, removedTotal);
    for (const { destination, removedTotal: bySource } of destinations) {
      removed.inc({ source, destination }, bySource[source] ?? 0);
    }
  }
}

/** Failures that a rate can be taken of from the first one on. */
const USUAL_FAILURES = ['destination-unavailable', 'destination-denied'];

function describeDestinations(
  registry: Registry,
  destinations: readonly DestinationStatus[],
): void {
  for (const [name, help, value] of DESTINATION_GAUGES) {
    const series = gauge(registry, name, help, ['destination']);
    for (const status of destinations) {
      series.set({ destination: status.destination }, value(status));
    }
  }
  const bytes = counter(
    registry,
    'backupd_upload_bytes_total',
    'Bytes of files that were sent and arrived.',
    ['destination'],
  );
  const failures = counter(registry, 'backupd_upload_failures_total', 'Uploads that failed.', [
    'destination',
    'code',
  ]);
  for (const { destination, bytesTotal, failuresTotal } of destinations) {
    bytes.inc({ destination }, bytesTotal);
    for (const code of new Set([...USUAL_FAILURES, ...Object.keys(failuresTotal)])) {
      failures.inc({ destination, code }, failuresTotal[code] ?? 0);
    }
  }
}

function describeChannels(registry: Registry, channels: readonly ChannelStatus[]): void {
  const help = 'Alarms and pings that could not be sent.';
  const failures = counter(registry, 'backupd_notify_failures_total', help, ['channel']);
  for (const { channel, failuresTotal } of channels) {
    failures.inc({ channel }, failuresTotal);
  }
}

function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[] = [],
): Gauge {
  return new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
}

function counter(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
): Counter {
  return new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
}
