import {
  absolutePath,
  anyText,
  duration,
  engine,
  maxAge,
  nameList,
  plainName,
  volumeOrPath,
  yesOrNo,
  type Format,
} from './formats.ts';
import { keep } from './keep-format.ts';
import { schedule } from './schedule-format.ts';
import { globalSchema } from './schema.ts';

/** Where an option of a source can be given. */
export type Place = 'label' | 'variable' | 'file';

/** One option of one source. */
export interface SourceOption<T> {
  readonly doc: string;
  readonly kind: Format<T>;
  /** What holds where it is given nowhere. */
  readonly otherwise: string;
  readonly places: readonly Place[];
}

const EVERYWHERE: readonly Place[] = ['label', 'variable', 'file'];

/** Every option of a source, by its key in the configuration file. */
export const sourceSchema = {
  enable: {
    doc: 'Whether the source is backed up. `true` as a label makes a container a source; `false` overrides a label that the image carries.',
    kind: yesOrNo,
    otherwise: 'a container without it is no source',
    places: EVERYWHERE,
  },
  name: {
    doc: 'What the source is called: in commands, metrics, and as its folder in `/backups`.',
    kind: plainName,
    otherwise: 'the compose service, else the name of the container',
    places: ['label'],
  },
  container: {
    doc: 'The container of a source that has no labels: a compose service of the project that backupd runs in, else the exact name of a container.',
    kind: anyText,
    otherwise: 'the entry is about a source that labels or `BACKUPD_SOURCES` make',
    places: ['file'],
  },
  volume: {
    doc: 'The volume of a source that has no labels, by the name that Docker has for it; or a directory of the host by its path.',
    kind: volumeOrPath,
    otherwise: 'the entry is about a source that labels or `BACKUPD_SOURCES` make',
    places: ['file'],
  },
  volumes: {
    doc: 'Volumes of this container to back up, by their names in the compose file or by the paths at which they are mounted. Each is a source of its own, named after the volume.',
    kind: nameList,
    otherwise: 'none',
    places: ['label'],
  },
  volumesExclude: {
    doc: 'What to leave out of these volumes: patterns of names at any depth (`*.log`), with `/` before them from the top of the volume (`/cache`). For a source of its own in a variable or the file: `exclude`.',
    kind: nameList,
    otherwise: 'nothing',
    places: ['label'],
  },
  engine: {
    doc: 'What runs in it; MySQL and MariaDB are told apart by the server itself.',
    kind: engine,
    otherwise: 'detected',
    places: EVERYWHERE,
  },
  databases: {
    doc: 'The databases to back up.',
    kind: nameList,
    otherwise: 'all',
    places: EVERYWHERE,
  },
  exclude: {
    doc: 'Databases to leave out; of a volume: patterns of what to leave out.',
    kind: nameList,
    otherwise: 'none',
    places: EVERYWHERE,
  },
  user: {
    doc: 'The role to connect as.',
    kind: anyText,
    otherwise:
      "the target's own `POSTGRES_USER`, else `postgres`; MySQL and MariaDB: `root`; MongoDB: `MONGO_INITDB_ROOT_USERNAME`, else none",
    places: EVERYWHERE,
  },
  passwordFile: {
    doc: 'A file **inside the target** that holds the password.',
    kind: absolutePath,
    otherwise:
      "the target's own `POSTGRES_PASSWORD`, `MARIADB_ROOT_PASSWORD`, `MYSQL_ROOT_PASSWORD` or `MONGO_INITDB_ROOT_PASSWORD`, or with `_FILE`",
    places: EVERYWHERE,
  },
  schedule: {
    doc: 'When it is backed up.',
    kind: schedule,
    otherwise: '`BACKUPD_SCHEDULE`',
    places: EVERYWHERE,
  },
  keep: {
    doc: 'Which of its backups are kept.',
    kind: keep,
    otherwise: '`BACKUPD_KEEP`',
    places: EVERYWHERE,
  },
  maxAge: {
    doc: 'When it counts as overdue.',
    kind: maxAge,
    otherwise: '`BACKUPD_MAX_AGE`',
    places: EVERYWHERE,
  },
  facts: {
    doc: 'What is recorded of its data.',
    kind: globalSchema.facts.kind,
    otherwise: '`BACKUPD_FACTS`',
    places: EVERYWHERE,
  },
  stop: {
    doc: 'Containers to stop until it was read; those that ran are started again, whatever becomes of the backup.',
    kind: nameList,
    otherwise: 'none',
    places: EVERYWHERE,
  },
  pause: {
    doc: 'Containers to pause until it was read, in the same way.',
    kind: nameList,
    otherwise: 'none',
    places: EVERYWHERE,
  },
  before: {
    doc: 'A command for the shell of its container, before a backup; the backup is not made where it fails.',
    kind: anyText,
    otherwise: 'none',
    places: EVERYWHERE,
  },
  after: {
    doc: 'A command for the shell of its container, after a backup, also after one that failed.',
    kind: anyText,
    otherwise: 'none',
    places: EVERYWHERE,
  },
  drill: {
    doc: 'When its restore is tried in a scratch container; or `off`.',
    kind: schedule,
    otherwise: '`BACKUPD_DRILL_SCHEDULE`',
    places: EVERYWHERE,
  },
  drillCheck: {
    doc: 'What must hold in the data that a drill restored: a statement, with `database:` before it where there are several, whose first value must not be empty, null, false or 0; or `exec:` and a command for the shell of the scratch container, which must exit with 0.',
    kind: anyText,
    otherwise: 'none',
    places: EVERYWHERE,
  },
  rpo: {
    doc: 'How much work may be lost at the most.',
    kind: duration,
    otherwise: '`BACKUPD_RPO`',
    places: EVERYWHERE,
  },
  rto: {
    doc: 'How long getting its data back may take.',
    kind: duration,
    otherwise: '`BACKUPD_RTO`',
    places: EVERYWHERE,
  },
} as const satisfies Record<string, SourceOption<unknown>>;

export type SourceKey = keyof typeof sourceSchema;

/** The values of the options that a source has, read. */
export type SourceValues = {
  readonly [K in SourceKey]?: ReturnType<(typeof sourceSchema)[K]['kind']['parse']>;
};

/** Labels with a dot where the option is one word after another. */
const DOTTED: Readonly<Partial<Record<SourceKey, string>>> = {
  volumesExclude: 'volumes.exclude',
  drillCheck: 'drill.check',
};

/** An option as a label: `backupd.max_age`. */
export function toLabel(key: SourceKey): string {
  return `backupd.${DOTTED[key] ?? toSnakeCase(key)}`;
}

/** `maxAge` as a label (`max_age`), and in capitals as the ending of a variable. */
export function toSnakeCase(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Keys of the options of a source that can be given in this place. */
export function sourceKeys(place: Place): readonly SourceKey[] {
  return (Object.keys(sourceSchema) as SourceKey[]).filter((key) =>
    (sourceSchema[key].places as readonly Place[]).includes(place),
  );
}

/** The part of a variable's name that says which source and which option it is about. */
export interface SourceVariable {
  /** As in the variable: `SHOP_DB`. */
  readonly name: string;
  readonly key: SourceKey;
}

export const SOURCE_PREFIX = 'BACKUPD_SOURCE_';

/** What `BACKUPD_SOURCE_<NAME>_<OPTION>` is about; null where it does not end in an option. */
export function parseSourceVariable(variable: string): SourceVariable | null {
  if (!variable.startsWith(SOURCE_PREFIX)) {
    return null;
  }
  const rest = variable.slice(SOURCE_PREFIX.length);
  for (const key of sourceKeys('variable')) {
    const ending = `_${toSnakeCase(key).toUpperCase()}`;
    if (rest.endsWith(ending) && rest.length > ending.length) {
      return { name: rest.slice(0, -ending.length), key };
    }
  }
  return null;
}
