import { FAILURES } from './errors.ts';
import { findAround, type Standing } from './find-around.ts';
import { OF_NOTHING, type Incident } from './incident.ts';
import type { DestinationStatus, SourceStatus } from './status.ts';

const MINUTE_MS = 60_000;
/** A try that is so late will not come: the failure counts. */
const LATE_TRY_MS = 60 * MINUTE_MS;
/** Uploads are tried again for ever. So many in a row have failed a quarter of an hour after the first one. */
const TELLING_UPLOADS = 5;

/** Everything that is wrong now and that people are to be told of. */
export function findIncidents(standing: Standing, nowMs: number): readonly Incident[] {
  const { report } = standing;
  return [
    ...report.sources.flatMap((status) => [
      ...findFailure(status, nowMs),
      ...findDamage(status),
      ...findLost(status),
      ...findOverdue(status),
      ...findDrill(status),
    ]),
    ...report.destinations.flatMap((status) => findUploads(status)),
    ...findAround(standing),
  ];
}

/** A failure counts when no try follows any more. */
export function isSettled(retryAt: string | null, nowMs: number): boolean {
  return retryAt === null || nowMs > Date.parse(retryAt) + LATE_TRY_MS;
}

function findFailure(
  { source, failing, lastSuccessAt }: SourceStatus,
  nowMs: number,
): readonly Incident[] {
  if (failing === null) {
    return [];
  }
  const { since, code, message, hint, retryAt } = failing;
  return [
    {
      ...OF_NOTHING,
      event: 'failure',
      source,
      about: 'backup',
      title: `backup of ${source} failed`,
      overTitle: `backups of ${source} succeed again`,
      since,
      code,
      message,
      hint,
      lastSuccessAt,
      // One that people were told of is not over because it is tried once more.
      opens: isSettled(retryAt, nowMs),
    },
  ];
}

function findDamage({
  source,
  damage,
  damagedBackups,
  suspicious,
  lastSuccessAt,
}: SourceStatus): readonly Incident[] {
  const found: Incident[] = [];
  const common = { ...OF_NOTHING, event: 'failure', source, lastSuccessAt } as const;
  if (damage !== null) {
    const others = damagedBackups > 1 ? `, and ${damagedBackups - 1} more` : '';
    found.push({
      ...common,
      about: 'verification',
      title: `a backup of ${source} is damaged`,
      overTitle: `no backup of ${source} is damaged any more`,
      since: damage.since,
      code: 'archive-corrupt',
      message: `${damage.id}: ${damage.message}${others}`,
      hint: `Look at the disk. "backupd verify ${source}" says which are whole; "backupd backup ${source}" makes a new one.`,
    });
  }
  if (suspicious !== null) {
    found.push({
      ...common,
      about: 'shrunk',
      title: `the newest backup of ${source} is suspicious`,
      overTitle: `the newest backup of ${source} is right again`,
      since: suspicious.since,
      code: 'suspicious',
      message: `${suspicious.id}: the source had shrunk to next to nothing`,
      hint: `Look at the source. If it was meant: "backupd pin ${suspicious.id}".`,
    });
  }
  return found;
}

function findLost({ source, copies, lastSuccessAt }: SourceStatus): readonly Incident[] {
  return copies
    .filter(({ state }) => state === 'lost')
    .map(({ destination, pendingBackups }) => ({
      ...OF_NOTHING,
      event: 'failure',
      source,
      destination,
      about: 'copies',
      title: `copies of ${source} at ${destination} are missing or altered`,
      overTitle: `copies of ${source} at ${destination} are whole again`,
      code: 'copy-lost',
      message: `what was sent to ${destination} is not there any more as it was; ${pendingBackups} to be sent again`,
      hint: '"backupd show ID" says what was found. The next upload sends them again; look for who changes objects there.',
      lastSuccessAt,
    }));
}

function findOverdue({
  source,
  state,
  overdueSince,
  maxAgeSeconds,
  lastSuccessAt,
}: SourceStatus): readonly Incident[] {
  if (overdueSince === null) {
    return [];
  }
  const hours = Math.round(((maxAgeSeconds ?? 0) / 3600) * 10) / 10;
  const limit = hours === 0 ? `${maxAgeSeconds ?? 0} s` : `${hours} h`;
  return [
    {
      ...OF_NOTHING,
      event: 'overdue',
      source,
      about: 'backup',
      title: `${source} is overdue`,
      overTitle: `${source} is backed up again`,
      since: overdueSince,
      code: 'overdue',
      message:
        state === 'missing'
          ? `its target is gone, and there is no new backup for more than ${limit}`
          : `there is no new backup for more than ${limit}`,
      hint:
        state === 'missing'
          ? `Start its container again; where it is gone for good: "backupd forget ${source}".`
          : `"backupd status" says why. By hand: "backupd backup ${source}".`,
      lastSuccessAt,
    },
  ];
}

function findDrill({ source, lastDrill, lastSuccessAt }: SourceStatus): readonly Incident[] {
  if (lastDrill === null || lastDrill.ok) {
    return [];
  }
  return [
    {
      ...OF_NOTHING,
      event: 'drill',
      source,
      about: 'drill',
      title: `restore drill of ${source} failed`,
      overTitle: `restore drill of ${source} passed`,
      since: lastDrill.at,
      code: lastDrill.failure?.code ?? 'verification-failed',
      message: lastDrill.failure?.message ?? 'a backup did not pass the test restore',
      hint:
        lastDrill.failure?.hint ?? `"backupd drill ${source}" runs it again and says what differs.`,
      lastSuccessAt,
    },
  ];
}

function findUploads({
  destination,
  state,
  failure,
  failedInRow,
  lastSuccessAt,
  pendingBackups,
}: DestinationStatus): readonly Incident[] {
  const common = { ...OF_NOTHING, destination } as const;
  if (failure !== null) {
    return [
      {
        ...common,
        ...failure,
        event: 'failure',
        about: 'upload',
        title: `uploads to ${destination} fail`,
        overTitle: `uploads to ${destination} succeed again`,
        message: `${failure.message}; ${pendingBackups} to be sent, the last upload that succeeded was ${lastSuccessAt ?? 'never'}`,
        opens: failedInRow >= TELLING_UPLOADS || !FAILURES[failure.code].retryable,
      },
    ];
  }
  if (state !== 'overdue') {
    return [];
  }
  return [
    {
      ...common,
      event: 'overdue',
      about: 'upload',
      title: `uploads to ${destination} are overdue`,
      overTitle: `uploads to ${destination} are made again`,
      code: 'upload-overdue',
      message: `the last upload was at ${lastSuccessAt ?? 'no time'}, and ${pendingBackups} are to be sent`,
      hint: 'Look whether the daemon runs. By hand: "backupd upload".',
    },
  ];
}
