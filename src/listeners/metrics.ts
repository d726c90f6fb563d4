import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { ChannelStatus, DestinationStatus, SourceStatus } from '../core/status.ts';

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

/** Gauges with one value for each source. */
const SOURCE_GAUGES: readonly (readonly [
  name: string,
  help: string,
  value: (status: SourceStatus) => number,
])[] = [
  [
    'backupd_backup_last_success_timestamp_seconds',
    'When the last good backup was done; 0: never.',
    ({ lastSuccessAt }) => seconds(lastSuccessAt),
  ],
  [
    'backupd_backup_last_attempt_timestamp_seconds',
    'When the last attempt began; 0: never.',
    ({ lastAttempt }) => seconds(lastAttempt?.at ?? null),
  ],
  [
    'backupd_backup_last_attempt_success',
    'Whether the last attempt left a backup.',
    ({ lastAttempt }) => Number(lastAttempt?.outcome === 'success'),
  ],
  [
    'backupd_backup_age_seconds',
    'Time since the last good backup was done; +Inf: never.',
    ({ ageSeconds }) => ageSeconds ?? Infinity,
  ],
  [
    'backupd_backup_max_age_seconds',
    'The age beyond which the source is overdue; 0: it never is.',
    ({ maxAgeSeconds }) => maxAgeSeconds ?? 0,
  ],
  [
    'backupd_backup_expected_interval_seconds',
    'Time from one scheduled run to the next; 0: the schedule is off.',
    ({ intervalSeconds }) => intervalSeconds ?? 0,
  ],
  [
    'backupd_backup_next_run_timestamp_seconds',
    'When the next run is scheduled; 0: none is.',
    ({ nextRunAt }) => seconds(nextRunAt),
  ],
  [
    'backupd_backup_size_bytes',
    'Stored size of the last good backup; 0: there is none.',
    ({ sizeBytes }) => sizeBytes ?? 0,
  ],
  [
    'backupd_backup_dump_bytes',
    'Plain size of the last good backup; 0: there is none.',
    ({ dumpBytes }) => dumpBytes ?? 0,
  ],
  [
    'backupd_backup_duration_seconds',
    'How long the last good backup took; 0: there is none.',
    ({ durationSeconds }) => durationSeconds ?? 0,
  ],
  [
    'backupd_backup_running',
    'Whether a backup runs now.',
    ({ state }) => Number(state === 'running'),
  ],
  ['backupd_backups', 'Backups there are, good or not.', ({ backups }) => backups],
  ['backupd_backups_stored_bytes', 'Stored size of all backups.', ({ storedBytes }) => storedBytes],
  [
    'backupd_drill_last_timestamp_seconds',
    'When the last drill that could be tried began; 0: never.',
    ({ lastDrill }) => seconds(lastDrill?.at ?? null),
  ],
  [
    'backupd_drill_last_success_timestamp_seconds',
    'When the last drill that passed began; 0: never.',
    ({ drill }) => seconds(drill.lastSuccessAt),
  ],
  [
    'backupd_drill_last_result',
    'Whether the last drill passed; 0 also where there was none.',
    ({ lastDrill }) => Number(lastDrill?.ok === true),
  ],
  [
    'backupd_drill_max_age_seconds',
    'The age beyond which the last drill that passed is too old; 0: drills are off, or cannot be.',
    ({ drill }) => drill.maxAgeSeconds ?? 0,
  ],
  [
    'backupd_drill_recovery_seconds',
    'How long the last drill took until the data could be queried; 0: it did not come so far.',
    ({ lastDrill }) => (lastDrill?.recoveryMs ?? 0) / 1000,
  ],
  [
    'backupd_drill_integrity_ratio',
    'Facts that matched over those that the last drill compared; 0 also where none was.',
    ({ lastDrill }) => lastDrill?.integrity ?? 0,
  ],
  [
    'backupd_verify_last_success_timestamp_seconds',
    'When a backup last passed a verification; 0: never.',
    ({ lastVerifiedAt }) => seconds(lastVerifiedAt),
  ],
  [
    'backupd_verify_failed_backups',
    'Backups in which the last verification found damage.',
    ({ damagedBackups }) => damagedBackups,
  ],
];

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

/** Gauges with one value for each destination. */
const DESTINATION_GAUGES: readonly (readonly [
  name: string,
  help: string,
  value: (status: DestinationStatus) => number,
])[] = [
  [
    'backupd_upload_last_success_timestamp_seconds',
    'When all that was wanted there was there last; 0: never.',
    ({ lastSuccessAt }) => seconds(lastSuccessAt),
  ],
  [
    'backupd_upload_pending_backups',
    'Backups that are wanted there and are not there yet.',
    ({ pendingBackups }) => pendingBackups,
  ],
  [
    'backupd_upload_pending_bytes',
    'Stored size of the backups that are pending.',
    ({ pendingBytes }) => pendingBytes,
  ],
  [
    'backupd_upload_oldest_pending_timestamp_seconds',
    'When the oldest backup that is pending was done; 0: none is.',
    ({ oldestPendingAt }) => seconds(oldestPendingAt),
  ],
  [
    'backupd_upload_max_age_seconds',
    'How long a backup may wait to be sent there; 0: for ever, it is sent by hand.',
    ({ maxAgeSeconds }) => maxAgeSeconds ?? 0,
  ],
];

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

function seconds(instant: string | null): number {
  return instant === null ? 0 : Date.parse(instant) / 1000;
}
