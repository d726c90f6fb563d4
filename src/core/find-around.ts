import type { ChannelName } from './channel.ts';
import type { ConfigProblem } from './discovery.ts';
import type { Failure } from './errors.ts';
import { OF_NOTHING, type Incident } from './incident.ts';
import type { ChannelStatus, StatusReport } from './status.ts';

/** All that alarms are made from, as one look found it. */
export interface Standing {
  readonly report: StatusReport;
  /** Problems of the configuration. */
  readonly problems: readonly ConfigProblem[];
  /** Why Docker could not be asked; null: it answered. */
  readonly docker: Failure | null;
  readonly disk: {
    readonly dir: string;
    readonly freeBytes: number;
    /** What one more backup of every source takes, with some to spare. */
    readonly neededBytes: number;
  };
  readonly channels: readonly ChannelStatus[];
}

const MINUTE_MS = 60_000;
/** Space comes and goes with every backup: an incident is over when there is so much more than is needed. */
const ROOM_AGAIN = 1.25;

/** What is wrong around sources and destinations. */
export function findAround(standing: Standing): readonly Incident[] {
  const { report, problems, docker, disk, channels } = standing;
  return [
    ...findDocker(docker),
    ...findNoSource(standing),
    ...findGrave(report),
    ...findDisk(disk),
    ...problems.map((problem) => toIncident(problem)),
    ...channels.flatMap((channel) => findDeadChannel(channel)),
  ];
}

/** It is away for a moment whenever it is updated. */
function findDocker(docker: Failure | null): readonly Incident[] {
  return docker === null
    ? []
    : [
        {
          ...OF_NOTHING,
          ...docker,
          event: 'failure',
          about: 'docker',
          title: 'Docker cannot be asked',
          overTitle: 'Docker answers again',
          graceMs: 2 * MINUTE_MS,
        },
      ];
}

/** Whoever runs it wants something to be backed up. */
function findNoSource({ report, docker }: Standing): readonly Incident[] {
  if (report.sources.length > 0 || docker !== null) {
    return [];
  }
  return [
    {
      ...OF_NOTHING,
      event: 'config',
      about: 'sources',
      title: 'there is no source',
      overTitle: 'there is a source again',
      code: 'config-invalid',
      message: 'there is no source, so nothing is backed up',
      hint: 'Put the label backupd.enable=true on the container of a database, or name one in BACKUPD_SOURCES.',
      graceMs: 2 * MINUTE_MS,
    },
  ];
}

/** Problems that are of no source and no configuration, by their code. */
const GRAVE: ReadonlySet<string> = new Set(['containers-halted', 'clock', 'storage-damaged']);

function findGrave({ problems }: StatusReport): readonly Incident[] {
  const byCode = Map.groupBy(
    problems.filter(({ code }) => GRAVE.has(code)),
    ({ code }) => code,
  );
  return [...byCode].flatMap(([code, [first]]) =>
    first === undefined
      ? []
      : [
          {
            ...OF_NOTHING,
            ...first,
            event: 'failure',
            about: code,
            title: `a problem is there: ${code}`,
            overTitle: `a problem is solved: ${code}`,
            graceMs: 2 * MINUTE_MS,
          } as const,
        ],
  );
}

function findDisk({ dir, freeBytes, neededBytes }: Standing['disk']): readonly Incident[] {
  if (freeBytes >= neededBytes * ROOM_AGAIN) {
    return [];
  }
  return [
    {
      ...OF_NOTHING,
      event: 'disk',
      about: 'space',
      title: 'the disk of the backups is nearly full',
      overTitle: 'the disk of the backups has room again',
      code: 'no-space',
      message: `${dir} has ${Math.floor(freeBytes / 1e6)} MB free, the next backups of all sources need about ${Math.ceil(neededBytes / 1e6)} MB`,
      hint: 'Free space there, make the volume larger, or keep fewer backups (BACKUPD_KEEP, then "backupd prune").',
      opens: freeBytes < neededBytes,
    },
  ];
}

/** Containers that are made anew are two for a moment. */
function toIncident({ source, option, message, hint, severity }: ConfigProblem): Incident {
  return {
    ...OF_NOTHING,
    event: 'config',
    source,
    about: option,
    title: 'a problem with the configuration',
    overTitle: 'a problem with the configuration is solved',
    code: severity === 'loud' ? 'config-warning' : 'config-invalid',
    message: `${option}: ${message}`,
    hint,
    graceMs: MINUTE_MS,
  };
}

/** What is to be told where `/backups` itself cannot be read: nothing else is known then. */
export function findStorageTrouble(failure: Failure): Incident {
  return {
    ...OF_NOTHING,
    ...failure,
    event: 'disk',
    about: 'storage',
    title: 'the backups cannot be read',
    overTitle: 'the backups can be read again',
    graceMs: MINUTE_MS,
  };
}

/** Of how many failures in a row others are told. */
const TELLING_FAILURES = 5;

/** What it is about that a channel does not work. */
export function troubleWith(channel: ChannelName): string {
  return `channel ${channel}`;
}

function findDeadChannel({ channel, failure, failedInRow }: ChannelStatus): readonly Incident[] {
  if (failure === null || failedInRow < TELLING_FAILURES) {
    return [];
  }
  return [
    {
      ...OF_NOTHING,
      event: 'config',
      about: troubleWith(channel),
      title: `nobody is told through ${channel}`,
      overTitle: `people are told through ${channel} again`,
      code: 'notify-failed',
      message: `${failedInRow} times in a row: ${failure.message}`,
      hint: 'Correct what is configured about it, and try it with "backupd check --notify".',
    },
  ];
}
