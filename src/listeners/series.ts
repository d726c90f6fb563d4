import type { DestinationStatus, SourceStatus } from '../core/status.ts';

/** Gauges with one value for each source. */
export const SOURCE_GAUGES: readonly (readonly [
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

/** Gauges with one value for each destination. */
export const DESTINATION_GAUGES: readonly (readonly [
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

function seconds(instant: string | null): number {
  return instant === null ? 0 : Date.parse(instant) / 1000;
}
