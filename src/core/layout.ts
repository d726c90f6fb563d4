import { BackupdError } from './errors.ts';

export const KINDS = ['full', 'incr', 'diff', 'safety'] as const;
export type BackupKind = (typeof KINDS)[number];

/** `20261122T020000Z-full-3fa9`: sorts by time, safe as a path and as an object key. */
export type BackupId = string & { readonly __brand: 'BackupId' };

export interface BackupIdParts {
  readonly startedAt: Date;
  readonly kind: BackupKind;
  /** Four hex digits that keep two backups of one second apart. */
  readonly suffix: string;
}

const ID = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(full|incr|diff|safety)-([0-9a-f]{4})$/;
const SOURCE_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export const MANIFEST_FILE = 'manifest.json';
export const RECEIPTS_FOLDER = 'receipts';
/** Where backupd keeps its own state in `/backups`. */
export const STATE_FOLDER = '.backupd';
export const DRAFT_SUFFIX = '.partial';

/** The id of a backup that starts at this instant; milliseconds are cut off. */
export function formatBackupId(parts: BackupIdParts): BackupId {
  const stamp = parts.startedAt
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '');
  return `${stamp}-${parts.kind}-${parts.suffix}` as BackupId;
}

/** The parts of an id, or null where the text is none (also where it names no real date). */
export function parseBackupId(text: string): BackupIdParts | null {
  const match = ID.exec(text);
  if (match === null) {
    return null;
  }
  const [, year, month, day, hour, minute, second, kind, suffix] = match;
  const startedAt = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // 30 February and the hour 24 are taken for the next day.
  const isReal = startedAt.getUTCDate() === Number(day) && startedAt.getUTCHours() === Number(hour);
  return isReal ? { startedAt, kind: kind as BackupKind, suffix: suffix ?? '' } : null;
}

export function isBackupId(text: string): text is BackupId {
  return parseBackupId(text) !== null;
}

/** Whether a text can be the name of a source; the rule keeps it safe as a folder, a label and a metric's value. */
export function isSourceName(text: string): boolean {
  return SOURCE_NAME.test(text);
}

/** How a source or a destination is called in the names of variables: upper case, `-` and `.` become `_`. */
export function toVariableName(name: string): string {
  return name.toUpperCase().replaceAll(/[-.]/g, '_');
}

/** Longest encoded name that is written out; file systems end at 255 bytes and endings need some of them. */
const LONGEST_NAME = 200;

/**
 * A database's name as part of a file name: percent-encoded outside `[a-z0-9_-]`, so upper and lower case stay apart on
 * file systems that fold them. What would be too long keeps its beginning and gets a digest; names are never decoded
 * from files, the manifest has them.
 */
export function encodeName(name: string): string {
  let encoded = '';
  for (const byte of new TextEncoder().encode(name)) {
    const char = String.fromCodePoint(byte);
    encoded += /[a-z0-9_-]/.test(char)
      ? char
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (encoded.length <= LONGEST_NAME) {
    return encoded;
  }
  return `${encoded.slice(0, LONGEST_NAME)}~${fnv1a64(encoded)}`;
}

/** FNV-1a, 64 bits, in hex: tells long names apart, protects nothing. (http://www.isthe.com/chongo/tech/comp/fnv) */
function fnv1a64(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let index = 0; index < text.length; index += 1) {
    hash ^= BigInt(text.codePointAt(index) ?? 0);
    hash = (hash * 0x100000001b3n) & 0xffffffffffffffffn;
  }
  return hash.toString(16).padStart(16, '0');
}

const COMPRESSION_ENDING = { zstd: '.zst', gzip: '.gz', none: '' } as const;
const ENCRYPTION_ENDING = { age: '.age', gpg: '.gpg', none: '' } as const;

/** What a file of a backup is called: `<database>.dump.zst`, `globals.sql.zst.age`. */
export function archiveFileName(
  stem: string,
  compression: keyof typeof COMPRESSION_ENDING,
  encryption: keyof typeof ENCRYPTION_ENDING,
): string {
  return `${stem}${COMPRESSION_ENDING[compression]}${ENCRYPTION_ENDING[encryption]}`;
}

/**
 * The one id among these that is, or begins with, what the user typed.
 * @throws BackupdError `backup-not-found`, or `usage` where several begin so.
 */
export function resolveId(typed: string, ids: readonly BackupId[]): BackupId {
  const exact = ids.find((id) => id === typed);
  if (exact !== undefined) {
    return exact;
  }
  const matches = ids.filter((id) => id.startsWith(typed));
  const [first, second] = matches;
  if (first === undefined || typed === '') {
    throw new BackupdError('backup-not-found', `no backup has the id "${typed}"`, {
      hint: 'Run "backupd list" to see the backups there are.',
    });
  }
  if (second !== undefined) {
    throw new BackupdError(
      'usage',
      `"${typed}" is the beginning of ${matches.length} backups: ${matches.slice(0, 5).join(', ')}`,
      {
        hint: 'Type more of the id.',
      },
    );
  }
  return first;
}
