import type { Readable } from 'node:stream';
import { BackupdError } from '../../core/errors.ts';
import { corrupt, readInt, readText, startParser, type Grammar } from './archive-parser.ts';
import { textDecoder } from './encodings.ts';

/** An entry of an archive's table of contents; strings that are not there are empty. */
export interface TocEntry {
  readonly dumpId: number;
  /** Whether the archive has a data block for it. */
  readonly hasData: boolean;
  /** What it is: `TABLE`, `SEQUENCE SET`, `DATABASE PROPERTIES`. */
  readonly desc: string;
  /** Its name. */
  readonly tag: string;
  readonly namespace: string;
  readonly owner: string;
  readonly tablespace: string;
  /** SQL that makes it; may be several statements. */
  readonly defn: string;
}

export interface ArchiveToc {
  readonly entries: readonly TocEntry[];
  /** The archive up to the end of its table of contents: an archive that pg_restore takes for everything but data. */
  readonly bytes: Buffer;
}

/** Minor versions of the format by PostgreSQL's: 12 to 15 write 14, 16 writes 15, 17 and 18 write 16. */
const OLDEST_MINOR = 14;
const NEWEST_MINOR = 16;
const COMPRESSION_BYTE_SINCE = 15;
const RELKIND_SINCE = 16;

const MAGIC = 'PGDMP';
const FORMAT_CUSTOM = 1;
const INT_SIZE = 4;
const LARGEST_OFFSET_BYTES = 8;

/** `dataState` of an entry without data; the others say whether the block's position was known. */
const NO_DATA = 3;
const DATA_STATES = new Set([1, 2, NO_DATA]);

interface Head {
  readonly minor: number;
  readonly offsetBytes: number;
}

/**
 * Reads a stream as far as the end of its table of contents, then destroys it.
 * @throws BackupdError `archive-corrupt`, `format-unsupported`, and what the stream fails with
 */
export async function readToc(stream: Readable): Promise<ArchiveToc> {
  const entries: TocEntry[] = [];
  const parser = startParser(
    readContents((entry) => {
      entries.push(entry);
    }),
  );
  const pieces: Buffer[] = [];
  for await (const chunk of stream) {
    const bytes = chunk as Buffer;
    pieces.push(bytes.subarray(0, parser.push(bytes)));
    if (parser.done) {
      break;
    }
  }
  parser.end();
  return { entries, bytes: Buffer.concat(pieces) };
}

/** Describes an archive of pg_dump's custom format up to the end of its table of contents (pg_backup_archiver.c). */
export function* readContents(onEntry: (entry: TocEntry) => void): Grammar<void> {
  const head = yield* readHead();
  const count = yield* readInt();
  let decode = textDecoder('UTF8');
  for (let index = 0; index < count; index += 1) {
    const entry = yield* readEntry(head, decode);
    if (entry.desc === 'ENCODING') {
      decode = textDecoder(/'([^']*)'/.exec(entry.defn)?.[1] ?? '');
    }
    onEntry(entry);
  }
}

function* readHead(): Grammar<Head> {
  const start = yield MAGIC.length;
  if (start.toString('latin1') !== MAGIC) {
    throw corrupt('is no archive of pg_dump');
  }
  const [major, minor, , intSize, offsetBytes, format] = yield 6;
  checkVersion(major ?? 0, minor ?? 0);
  if (intSize !== INT_SIZE || format !== FORMAT_CUSTOM || !isOffsetSize(offsetBytes)) {
    throw corrupt('has a header that no pg_dump writes');
  }
  if ((minor ?? 0) >= COMPRESSION_BYTE_SINCE) {
    yield 1;
  } else {
    yield* readInt();
  }
  // When it was made: seconds, minutes, hours, day, month, year, daylight saving.
  for (let field = 0; field < 7; field += 1) {
    yield* readInt();
  }
  // The database's name, the server's version, the tool's.
  for (let field = 0; field < 3; field += 1) {
    yield* readText(ignore);
  }
  return { minor: minor ?? 0, offsetBytes };
}

function checkVersion(major: number, minor: number): void {
  if (major !== 1 || minor < OLDEST_MINOR || minor > NEWEST_MINOR) {
    throw new BackupdError(
      'format-unsupported',
      `has version ${major}.${minor} of pg_dump's archive format, 1.${OLDEST_MINOR} to 1.${NEWEST_MINOR} can be read`,
      { hint: 'Use a version of backupd that knows this version of PostgreSQL.' },
    );
  }
}

function isOffsetSize(bytes: number | undefined): bytes is number {
  return bytes !== undefined && bytes > 0 && bytes <= LARGEST_OFFSET_BYTES;
}

function* readEntry(head: Head, decode: (bytes: Buffer) => string): Grammar<TocEntry> {
  const dumpId = yield* readInt();
  const hadDumper = yield* readInt();
  if (dumpId <= 0) {
    throw corrupt(`has an entry ${dumpId} in its table of contents`);
  }
  // OIDs of its catalog and of itself.
  yield* readText(ignore);
  yield* readText(ignore);
  const tag = yield* readText(decode);
  const desc = yield* readText(decode);
  // Section.
  yield* readInt();
  const defn = yield* readText(decode);
  // How to drop it, how to copy into it.
  yield* readText(ignore);
  yield* readText(ignore);
  const namespace = yield* readText(decode);
  const tablespace = yield* readText(decode);
  // Access method.
  yield* readText(ignore);
  if (head.minor >= RELKIND_SINCE) {
    yield* readInt();
  }
  const owner = yield* readText(decode);
  // Whether it has OIDs; then the entries it depends on, to the first string that is none.
  for (let text: string | null = ''; text !== null;) {
    text = yield* readText(ignore);
  }
  const hasData = yield* readDataState(head);
  if (hasData !== (hadDumper === 1)) {
    throw corrupt(`has an entry ${dumpId} that is not clear about its data`);
  }
  return {
    dumpId,
    hasData,
    desc: desc ?? '',
    tag: tag ?? '',
    namespace: namespace ?? '',
    owner: owner ?? '',
    tablespace: tablespace ?? '',
    defn: defn ?? '',
  };
}

function* readDataState(head: Head): Grammar<boolean> {
  const state = (yield 1)[0] ?? 0;
  yield head.offsetBytes;
  if (!DATA_STATES.has(state)) {
    throw corrupt(`has an entry with an unknown state ${state} of its data`);
  }
  return state !== NO_DATA;
}

function ignore(): string {
  return '';
}
