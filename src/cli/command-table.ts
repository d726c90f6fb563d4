import type { FailureCode } from '../core/errors.ts';
import type { OptionName } from './options.ts';

export interface CommandSpec {
  /** One sentence. */
  readonly about: string;
  /** As in the usage line. */
  readonly operands: readonly string[];
  readonly options: readonly OptionName[];
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  /** The failures that a script should tell apart. */
  readonly failures: readonly FailureCode[];
  /** More that must be known, a line each. */
  readonly notes?: readonly string[];
}

const REMOTE = ['destination-unavailable', 'destination-denied'] as const;

const PINNING =
  'Of a backup that is not here the copies are meant, at every destination that has one. Of one that is here they follow with the next upload.';
const READING: readonly FailureCode[] = ['backup-not-found', 'storage-unavailable'];

/** Of an encrypted backup. */
const DECRYPTING: readonly FailureCode[] = ['key-wrong', 'key-missing'];

/** Every command, in the order of the help text. */
export const COMMANDS = {
  daemon: {
    about: 'Runs the schedules and serves metrics; what "backupd" alone does.',
    operands: [],
    options: [],
    examples: [
      ['backupd', 'what the container runs'],
      ['backupd daemon', 'the same'],
    ],
    failures: ['config-invalid', 'locked', 'storage-unavailable'],
  },
  backup: {
    about: 'Backs up now: the named sources, or all of them.',
    operands: ['[SOURCE...]'],
    options: ['pin', 'wait'],
    examples: [
      ['backupd backup', 'every source, one after the other'],
      ['backupd backup db --pin', 'the source db, to be kept whatever retention says'],
      ['backupd backup db --wait 10m', 'waits for a run that is under way'],
    ],
    failures: [
      'config-invalid',
      'locked',
      'source-not-found',
      'target-unavailable',
      'dump-failed',
      'timeout',
      'no-space',
    ],
    notes: ['Goes on with the others when one fails, and ends with the first failure.'],
  },
  restore: {
    about: 'Restores a backup; what was there is kept, and --undo brings it back.',
    operands: ['[SOURCE]'],
    options: [
      'at',
      'database',
      'as',
      'into',
      'from',
      'stop',
      'tier',
      'undo',
      'drop-previous',
      'dry-run',
      'yes',
      'wait',
    ],
    examples: [
      ['backupd restore db', 'the latest backup of db'],
      ['backupd restore db --at 2026-11-22T02:00 --dry-run', 'what would be restored'],
      ['backupd restore db --database shop --as shop_old', 'beside what is there'],
      ['backupd restore db --stop app', 'app is stopped for the moment of the swap'],
      ['backupd restore db --from s3 --into new-db', 'what a bucket holds, into another container'],
      ['backupd restore db --undo', 'the way back'],
    ],
    failures: [
      'backup-not-found',
      'locked',
      ...DECRYPTING,
      'archive-corrupt',
      'format-unsupported',
      'source-not-found',
      'nothing-to-undo',
      'target-unavailable',
      'restore-failed',
      'verification-failed',
      'target-in-use',
      ...REMOTE,
      'retrieval-pending',
      'no-space',
      'cancelled',
    ],
    notes: [
      'A backup that is damaged here, or not here any more, is fetched from a destination that has a copy of it.',
      'Everything is loaded beside and compared before the first database is swapped in; a failure before that changes nothing.',
      'SOURCE may be left out when there is only one. --undo and --drop-previous need it.',
    ],
  },
  list: {
    about: 'Lists backups, newest first.',
    operands: ['[SOURCE]'],
    options: ['from'],
    examples: [
      ['backupd list', 'the backups of every source'],
      ['backupd list db --json', 'those of db, for a script'],
      ['backupd list --from s3', 'those that a bucket holds'],
    ],
    failures: ['source-not-found', ...REMOTE, 'storage-unavailable'],
  },
  show: {
    about: 'Shows one backup: manifest, files, facts, receipts.',
    operands: ['ID'],
    options: [],
    examples: [
      ['backupd show 20261122T020000Z-full-3fa9', 'that backup'],
      ['backupd show 20261122T02', 'a unique beginning is enough'],
    ],
    failures: READING,
    notes: ['One that is not here is looked for at the destinations.'],
  },
  cat: {
    about: 'Writes a file of a backup to stdout, decrypted and decompressed.',
    operands: ['ID', 'FILE'],
    options: [],
    examples: [
      ['backupd cat 20261122T02 globals.sql.zst', 'the roles'],
      ['backupd cat 20261122T02 shop.dump.zst > shop.dump', 'for pg_restore'],
    ],
    failures: [...READING, ...DECRYPTING, 'archive-corrupt'],
    notes: [
      'Of a backup that is not here it is read from a destination that has a copy.',
      'Ends with a failure when anything was wrong with the file, also after bytes were written: look at the exit code.',
      'With --json only errors are JSON.',
    ],
  },
  verify: {
    about:
      'Reads backups back: hashes, and, with the key where one is needed, decryption, decompression and the format to its end.',
    operands: ['[SOURCE|ID]'],
    options: ['from'],
    examples: [
      ['backupd verify', 'every backup of every source'],
      ['backupd verify db', 'those of db'],
      ['backupd verify 20261122T02', 'one'],
      ['backupd verify db --from s3', 'the copies in a bucket; nothing of them is kept'],
    ],
    failures: [
      'backup-not-found',
      'key-wrong',
      'archive-corrupt',
      'source-not-found',
      ...REMOTE,
      'storage-unavailable',
    ],
  },
  prune: {
    about:
      'Removes what retention does not keep, here and at destinations, with the reason for every verdict.',
    operands: ['[SOURCE]'],
    options: ['dry-run', 'yes', 'wait'],
    examples: [
      ['backupd prune --dry-run', 'what would be removed, and why the rest is kept'],
      ['backupd prune db', 'the backups of db'],
      ['backupd prune db --yes', 'also when that is more than half of them'],
    ],
    failures: ['usage', 'locked', 'source-not-found', ...REMOTE, 'storage-unavailable'],
    notes: [
      'Here and at each destination it goes by what is there: to remove a backup here removes no copy of it.',
      'A prune that would remove more than half of the backups of a source, and more than three, removes nothing without --yes (exit 2).',
    ],
  },
  upload: {
    about: 'Sends what is pending to the destinations, now.',
    operands: ['[DESTINATION]'],
    options: ['take-over', 'wait'],
    examples: [
      ['backupd upload', 'to every destination'],
      ['backupd upload s3', 'to the one named s3'],
      ['backupd upload s3 --take-over', 'from a new host that replaces the old one'],
    ],
    failures: ['config-invalid', 'locked', 'archive-corrupt', ...REMOTE, 'no-space'],
    notes: [
      'Pending is what the retention of a destination would keep and is not there yet; an upload that was cut off goes on where it was.',
      'A namespace that another /backups owns is refused with locked (exit 11) until --take-over.',
    ],
  },
  pin: {
    about: 'Keeps a backup whatever retention says.',
    operands: ['ID'],
    options: ['wait'],
    examples: [
      ['backupd pin 20261122T02', 'keep it'],
      ['backupd pin 20261122T020000Z-full-3fa9 --json', 'for a script'],
    ],
    failures: [...READING, 'usage', 'locked', ...REMOTE],
    notes: [PINNING],
  },
  unpin: {
    about: 'Leaves a pinned backup to retention again.',
    operands: ['ID'],
    options: ['wait'],
    examples: [
      ['backupd unpin 20261122T02', 'retention decides again'],
      ['backupd unpin 20261122T020000Z-full-3fa9 --json', 'for a script'],
    ],
    failures: [...READING, 'usage', 'locked', ...REMOTE],
    notes: [PINNING],
  },
  forget: {
    about: 'Stops reporting a source that is gone for good; its backups age out by retention.',
    operands: ['SOURCE'],
    options: [],
    examples: [
      ['backupd forget olddb', 'olddb is no longer missing'],
      ['backupd forget olddb --json', 'for a script'],
    ],
    failures: ['usage', 'source-not-found', 'storage-unavailable'],
  },
  drill: {
    about:
      'Restores a backup into a scratch container, compares it with what was dumped, and removes it again.',
    operands: ['[SOURCE]'],
    options: ['wait'],
    examples: [
      ['backupd drill db', 'can db be restored, and how long does that take?'],
      ['backupd drill', 'every source, one after the other'],
      ['backupd drill db --json', 'for a script'],
    ],
    failures: [
      'backup-not-found',
      'locked',
      'key-missing',
      'source-not-found',
      'target-unavailable',
      'verification-failed',
      'no-space',
    ],
    notes: [
      'The source itself is left alone: the scratch container has the same image, new data, no network and no port.',
      'verification-failed (exit 23) is a drill that failed; the others are why one could not be tried, which is no pass.',
      'Without SOURCE those whose drills are off (backupd.drill=off) are left out.',
    ],
  },
  status: {
    about: 'Shows how each source stands.',
    operands: [],
    options: [],
    examples: [
      ['backupd status', 'a line a source, and every problem'],
      ['backupd status --json', 'for a monitor'],
    ],
    failures: ['unhealthy', 'storage-unavailable'],
  },
  check: {
    about: 'Checks that everything is in place, and says what to do where it is not.',
    operands: [],
    options: ['notify', 'silence'],
    examples: [
      ['backupd check', 'configuration, Docker, targets, keys, space, clock, channels'],
      ['backupd check --notify', 'and a test message to everybody who would be told'],
      ['backupd check --silence 11m', 'and whether a proxy before Docker cuts quiet connections'],
      ['backupd check --json', 'for a script'],
    ],
    failures: ['unhealthy', 'storage-unavailable'],
  },
  config: {
    about: 'Shows the configuration in force and where each value came from; secrets are hidden.',
    operands: [],
    options: [],
    examples: [
      ['backupd config', 'options, sources, problems'],
      ['backupd config --json', 'for a script'],
    ],
    failures: ['config-invalid'],
  },
  runbook: {
    about: 'Writes Markdown: how to restore each source of this very configuration.',
    operands: [],
    options: [],
    examples: [
      ['backupd runbook > runbook.md', 'to be printed and kept elsewhere'],
      ['backupd runbook --json', 'for a script'],
    ],
    failures: ['storage-unavailable'],
    notes: ['It holds names of containers, buckets and databases, and no secret.'],
  },
} as const satisfies Record<string, CommandSpec>;

export type CommandName = keyof typeof COMMANDS;

export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];
