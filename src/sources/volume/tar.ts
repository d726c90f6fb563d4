import { MOUNTED_AT } from '../../docker/helper.ts';
import { OWN_PREFIX } from './tar-header.ts';

/** What is kept of files beside mode and owner; `trusted.*` would take rights over the whole host. */
export const ATTRIBUTES = [
  '--acls',
  '--xattrs',
  '--xattrs-include=user.*',
  '--xattrs-include=security.capability',
];

/** The messages of tar are read. */
export const TAR_ENVIRONMENT = { LC_ALL: 'C' };

/**
 * An archive of a directory on stdout: everything in it by name, so that the same content is always in the same order.
 * @param exclude patterns of names, with "/" at their beginning from the top
 */
export function createArgv(directory: string, exclude: readonly string[]): readonly string[] {
  return [
    'tar',
    '--create',
    '--file=-',
    `--directory=${directory}`,
    '--format=posix',
    // Only what is restored: times of access and of change differ with every reading.
    '--pax-option=delete=atime,delete=ctime',
    '--sort=name',
    '--sparse',
    '--numeric-owner',
    '--blocking-factor=256',
    ...ATTRIBUTES,
    '--anchored',
    '--wildcards',
    ...(directory === MOUNTED_AT ? [`--exclude=./${OWN_PREFIX}*`] : []),
    ...exclude.flatMap((pattern) => excluded(pattern)),
    '.',
  ];
}

function excluded(pattern: string): readonly string[] {
  return pattern.startsWith('/')
    ? ['--anchored', `--exclude=.${pattern.replace(/\/$/, '')}`]
    : ['--no-anchored', `--exclude=${pattern.replace(/\/$/, '')}`];
}

/** Unpacks an archive from stdin into a directory that is there. */
export function extractArgv(directory: string): readonly string[] {
  return [
    'tar',
    '--extract',
    '--file=-',
    `--directory=${directory}`,
    '--numeric-owner',
    '--same-owner',
    '--preserve-permissions',
    ...ATTRIBUTES,
  ];
}

/** What tar said of what it read, line by line. */
export interface TarNotes {
  readonly onLine: (line: string) => void;
  /** Files that changed, shrank or vanished while they were read. */
  changed(): number;
  /** Sockets, which no archive can hold. */
  sockets(): number;
  /** Whether it said anything else. */
  hasOthers(): boolean;
}

const CHANGED =
  /: (?:file changed as we read it|File removed before we read it|File shrank by \d+ bytes?; padding with zeros)$/;
const SOCKET = /: socket ignored$/;

export function tarNotes(): TarNotes {
  let changed = 0;
  let sockets = 0;
  let others = 0;
  return {
    onLine(line) {
      if (CHANGED.test(line)) {
        changed += 1;
      } else if (SOCKET.test(line)) {
        sockets += 1;
      } else if (line.trim() !== '') {
        others += 1;
      }
    },
    changed: () => changed,
    sockets: () => sockets,
    hasOthers: () => others > 0,
  };
}
