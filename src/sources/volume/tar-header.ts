import { BackupdError } from '../../core/errors.ts';

export const BLOCK_BYTES = 512;

/** One member of an archive, by its header and the extended one before it. Texts have one character for each byte. */
export interface TarEntry {
  /** `0` a file, `1` a hard link, `2` a symbolic one, `3` and `4` devices, `5` a directory, `6` a FIFO. */
  readonly type: string;
  /** Below the volume; empty for the volume's own directory. */
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** What follows in the archive. */
  readonly storedBytes: number;
  /** Of a file. */
  readonly sizeBytes: number;
  readonly isSparse: boolean;
  readonly link: string;
  readonly device: string;
  /** Extended attributes and ACLs, sorted by name. */
  readonly attributes: readonly (readonly [string, string])[];
}

/** Names of ours at the top of a volume: what is loaded beside and what is kept. */
export const OWN_PREFIX = '.backupd-';

const ATTRIBUTE = /^SCHILY\.(?:xattr|acl)\./;
/** What a header is a checksum of counts the checksum itself as blanks. */
const CHECKSUM = { at: 148, length: 8 };

export function corrupt(fact: string): BackupdError {
  return new BackupdError('archive-corrupt', `this is no whole tar archive of a volume: ${fact}`);
}

/** The fields that both kinds of header have. @throws BackupdError `archive-corrupt` */
export function readHeader(block: Buffer): { readonly type: string; readonly sizeBytes: number } {
  if (sumOf(block) !== readNumber(block, CHECKSUM.at, CHECKSUM.length)) {
    throw corrupt('a header is damaged');
  }
  return { type: readText(block, 156, 1) || '0', sizeBytes: readNumber(block, 124, 12) };
}

function sumOf(block: Buffer): number {
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    sum += block[at] ?? 0;
  }
  const own = block.subarray(CHECKSUM.at, CHECKSUM.at + CHECKSUM.length);
  return own.reduce((rest, byte) => rest - byte + 0x20, sum);
}

/** A member, by its header and its extended one. @throws BackupdError `archive-corrupt`, also for one that leads outside */
export function readEntry(block: Buffer, extended: ReadonlyMap<string, string>): TarEntry {
  const { type, sizeBytes } = readHeader(block);
  if (!/^[0-6]$/.test(type)) {
    throw corrupt(`there is a member of the unknown type ${JSON.stringify(type)}`);
  }
  const link = extended.get('linkpath') ?? readText(block, 157, 100);
  const storedBytes = numberIn(extended, 'size') ?? sizeBytes;
  if (type !== '0' && storedBytes !== 0) {
    throw corrupt('a member that is no file has content');
  }
  return {
    type,
    path: pathBelow(readPath(block, extended)),
    mode: readNumber(block, 100, 8) & 0o7777,
    uid: numberIn(extended, 'uid') ?? readNumber(block, 108, 8),
    gid: numberIn(extended, 'gid') ?? readNumber(block, 116, 8),
    storedBytes,
    sizeBytes: numberIn(extended, 'GNU.sparse.realsize') ?? storedBytes,
    isSparse: isSparse(extended),
    link: type === '1' ? pathBelow(link) : link,
    device: type === '3' || type === '4' ? readDevice(block) : '',
    attributes: [...extended]
      .filter(([key]) => ATTRIBUTE.test(key))
      .toSorted(([one], [other]) => (one < other ? -1 : 1)),
  };
}

function readPath(block: Buffer, extended: ReadonlyMap<string, string>): string {
  const prefix = readText(block, 345, 155);
  const name = readText(block, 0, 100);
  const short = prefix === '' ? name : `${prefix}/${name}`;
  return extended.get('GNU.sparse.name') ?? extended.get('path') ?? short;
}

function isSparse(extended: ReadonlyMap<string, string>): boolean {
  const major = extended.get('GNU.sparse.major');
  if (major !== undefined && major !== '1') {
    throw corrupt(`there is a sparse file of the unknown format ${major}`);
  }
  return major !== undefined;
}

function readDevice(block: Buffer): string {
  return `${readNumber(block, 329, 8)}:${readNumber(block, 337, 8)}`;
}

/** Every member is below the directory that was read, and never among what is ours. */
function pathBelow(path: string): string {
  const parts = path.split('/');
  if (parts[0] !== '.' || parts.includes('..')) {
    throw corrupt(`a member leads outside: ${shown(path)}`);
  }
  const below = parts.filter((part) => part !== '' && part !== '.');
  if (below[0]?.startsWith(OWN_PREFIX) === true) {
    throw corrupt(`a member has a name that only restores have: ${shown(path)}`);
  }
  return below.join('/');
}

function shown(path: string): string {
  return JSON.stringify(Buffer.from(path, 'latin1').toString('utf8'));
}

/** Octal digits, or with the first bit set bytes of a number. */
function readNumber(block: Buffer, at: number, length: number): number {
  const first = block[at] ?? 0;
  const value =
    first === 0x80 || first === 0xff
      ? Number(BigInt.asIntN(64, block.readBigUInt64BE(at + length - 8)))
      : Number.parseInt(readText(block, at, length).trim() || '0', 8);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw corrupt('a header has a number that is none');
  }
  return value;
}

/** Up to its first NUL. */
function readText(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end === -1 ? at + length : Math.min(end, at + length));
}

function numberIn(extended: ReadonlyMap<string, string>, key: string): number | null {
  const text = extended.get(key);
  if (text === undefined) {
    return null;
  }
  const number = parseNumber(text);
  if (number === null) {
    throw corrupt(`an extended header has a "${key}" that is no number`);
  }
  return number;
}

/** A number of bytes as text; null for what is none. */
export function parseNumber(text: string): number | null {
  const number = Number(text);
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(number) ? number : null;
}

/** The records of an extended header, each `<its own length> <key>=<value>\n`; a value may have any bytes. */
export function readExtended(body: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < body.length;) {
    const blank = body.indexOf(0x20, at);
    const digits = blank === -1 ? '' : body.toString('latin1', at, blank);
    const end = at + Number(digits);
    const equals = body.indexOf(0x3d, blank);
    if (!/^\d{1,8}$/.test(digits) || equals === -1 || equals >= end || body[end - 1] !== 0x0a) {
      throw corrupt('an extended header is damaged');
    }
    records.set(
      body.toString('latin1', blank + 1, equals),
      body.toString('latin1', equals + 1, end - 1),
    );
    at = end;
  }
  return records;
}
