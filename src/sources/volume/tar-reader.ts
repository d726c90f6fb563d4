import { createHash } from 'node:crypto';
import type { PartFacts, StreamReader } from '../../core/source.ts';
import { contentHash, type ContentHash } from './content-hash.ts';
import { followBytes, type Want } from './follow-bytes.ts';
import {
  BLOCK_BYTES,
  corrupt,
  parseNumber,
  readEntry,
  readExtended,
  readHeader,
  type TarEntry,
} from './tar-header.ts';

/** Extended attributes have 64 KiB at the most, paths 4 KiB; nothing else is long. */
const LONGEST_EXTENDED_BYTES = 4 * 1024 * 1024;
/** The map of a sparse file is text, a line for each number. */
const LONGEST_NUMBER = 20;

const KINDS: Readonly<Record<string, string>> = {
  '0': 'files',
  '1': 'hardLinks',
  '2': 'symbolicLinks',
  '3': 'devices',
  '4': 'devices',
  '5': 'directories',
  '6': 'fifos',
};

/**
 * Reads an archive as GNU tar makes it of a volume (POSIX format, sorted by name) to its end: what there is, how much, and
 * a digest over path, type, mode, owner, size, target, attributes and content of everything in its order. The digest of
 * what was restored is the same, however its file system holds it and whenever it was read.
 */
export function tarReader(): StreamReader {
  const tree = treeOf();
  const bytes = followBytes(readMembers(tree), () => corrupt('it goes on after its end'));
  return {
    push: bytes.push,
    end() {
      if (!bytes.isDone()) {
        throw corrupt('it ends before its end');
      }
      return tree.facts();
    },
  };
}

interface Tree {
  /** @throws BackupdError `archive-corrupt` where the first one is not the directory that was read */
  begin(entry: TarEntry): void;
  add(entry: TarEntry): ContentHash;
  facts(): PartFacts;
}

function treeOf(): Tree {
  const hash = createHash('sha256');
  const counts: Record<string, number> = {};
  let entries = 0;
  let sizeBytes = 0;
  let hasBegun = false;
  return {
    begin({ type, path }) {
      if (!hasBegun && (type !== '5' || path !== '')) {
        throw corrupt('it has no beginning');
      }
      hasBegun = true;
    },
    add(entry) {
      const { type, path, mode, uid, gid, link, device, attributes } = entry;
      if (path !== '') {
        const kind = KINDS[type] ?? type;
        counts[kind] = (counts[kind] ?? 0) + 1;
        entries += 1;
        sizeBytes += entry.sizeBytes;
      }
      const known = [type, path, mode, uid, gid, entry.sizeBytes, link, device, attributes];
      hash.update(JSON.stringify(known));
      return contentHash(hash);
    },
    facts() {
      return { sizeBytes, objects: { entries, ...counts }, digest: hash.digest('hex') };
    },
  };
}

type Reading<Result> = Generator<Want, Result, Buffer>;

function* readMembers(tree: Tree): Reading<void> {
  let extended: ReadonlyMap<string, string> = new Map();
  for (;;) {
    const header: Buffer = yield { take: BLOCK_BYTES };
    if (isZero(header)) {
      const second: Buffer = yield { take: BLOCK_BYTES };
      if (!isZero(second)) {
        throw corrupt('its end is damaged');
      }
      return;
    }
    const { type, sizeBytes } = readHeader(header);
    if (type === 'x') {
      if (sizeBytes === 0 || sizeBytes > LONGEST_EXTENDED_BYTES) {
        throw corrupt('an extended header has a size that it cannot have');
      }
      const body: Buffer = yield { take: sizeBytes + paddingOf(sizeBytes) };
      extended = readExtended(body.subarray(0, sizeBytes));
    } else {
      const entry = readEntry(header, extended);
      tree.begin(entry);
      yield* readContent(entry, tree.add(entry));
      extended = new Map();
    }
  }
}

function* readContent(entry: TarEntry, content: ContentHash): Reading<void> {
  const { storedBytes, isSparse } = entry;
  if (isSparse) {
    yield* readSparse(entry, content);
  } else {
    yield* pass(storedBytes, content.push);
  }
  content.end();
  yield* pass(paddingOf(storedBytes), () => undefined);
}

/** A sparse file begins with its map: how many pieces there are, then the offset and the length of each. */
function* readSparse(entry: TarEntry, content: ContentHash): Reading<void> {
  const map = numbersOf();
  const [pieces = 0] = yield* map.next(1);
  let at = 0;
  const offsets: (readonly [number, number])[] = [];
  for (let piece = 0; piece < pieces; piece += 1) {
    const [offset = 0, length = 0] = yield* map.next(2);
    offsets.push([offset, length]);
  }
  let left = entry.storedBytes - map.blockBytes();
  for (const [offset, length] of offsets) {
    if (offset < at || length > left || offset + length > entry.sizeBytes) {
      throw corrupt('the map of a sparse file is damaged');
    }
    content.skip(offset - at);
    yield* pass(length, content.push);
    at = offset + length;
    left -= length;
  }
  content.skip(entry.sizeBytes - at);
  yield* pass(left, () => undefined);
}

/** Reads numbers, one a line, from as many blocks as they take. */
function numbersOf(): {
  next(count: number): Reading<readonly number[]>;
  blockBytes(): number;
} {
  let text = '';
  let blocks = 0;
  return {
    *next(count) {
      const numbers: number[] = [];
      while (numbers.length < count) {
        const end = text.indexOf('\n');
        if (end === -1) {
          if (text.length > LONGEST_NUMBER) {
            throw corrupt('the map of a sparse file is damaged');
          }
          const block: Buffer = yield { take: BLOCK_BYTES };
          blocks += 1;
          text += block.toString('latin1');
          continue;
        }
        const line = text.slice(0, end);
        const number = parseNumber(line);
        if (number === null) {
          throw corrupt('the map of a sparse file is damaged');
        }
        numbers.push(number);
        text = text.slice(end + 1);
      }
      return numbers;
    },
    blockBytes: () => blocks * BLOCK_BYTES,
  };
}

function* pass(bytes: number, to: (bytes: Uint8Array) => void): Reading<void> {
  if (bytes > 0) {
    yield { pass: bytes, to };
  }
}

function paddingOf(bytes: number): number {
  return (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}
