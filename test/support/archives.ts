import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import type { ArchiveFile, Compression } from '../../src/core/manifest.ts';
import type { StreamReader } from '../../src/core/source.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'pg-custom');

/** An archive that a real pg_dump wrote. */
export async function goldenArchive(name: string): Promise<Buffer> {
  return readFile(join(FIXTURES, `${name}.dump`));
}

/** Takes any bytes for whole. */
export function anyReader(): StreamReader {
  return { push: () => {}, end: () => ({}) };
}

/** One frame with a checksum, as the zstd command makes it. */
export function zstdOf(plain: Uint8Array): Buffer {
  return zstdCompressSync(plain, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

/** The bytes as they would be stored. */
export function encode(plain: Uint8Array, compression: Compression): Buffer {
  if (compression === 'none') {
    return Buffer.from(plain);
  }
  return compression === 'zstd' ? zstdOf(plain) : gzipSync(plain);
}

/** Cuts bytes at these places, in any order, given as parts of the whole. */
export function cutAt(bytes: Uint8Array, places: readonly number[]): readonly Buffer[] {
  const ends = [...places.map((place) => Math.floor(place * bytes.length)), bytes.length];
  let from = 0;
  return ends
    .toSorted((one, other) => one - other)
    .map((end) => {
      const piece = Buffer.from(bytes.subarray(from, end));
      from = end;
      return piece;
    })
    .filter((piece) => piece.length > 0);
}

/** Places to cut at. */
export function anyCuts(): fc.Arbitrary<readonly number[]> {
  return fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
}

/** Plain bytes: text that compresses, zeros, noise. */
export function anyBytes(): fc.Arbitrary<Uint8Array> {
  return fc.oneof(
    fc.uint8Array({ maxLength: 2000 }),
    fc.nat({ max: 300_000 }).map((length) => new Uint8Array(length)),
    fc.array(fc.string(), { maxLength: 200 }).map((lines) => Buffer.from(lines.join('\n'))),
  );
}

/** A stream of these pieces, each a chunk of its own. */
export function streamOf(pieces: readonly Uint8Array[]): Readable {
  return Readable.from(pieces, { objectMode: false });
}

/** Stores bytes, which may be damaged, under a record that fits them: what is left to see it is the archive itself. */
export async function store(
  path: string,
  stored: Uint8Array,
  known: { readonly plain: Uint8Array; readonly compression: Compression },
): Promise<ArchiveFile> {
  await writeFile(path, stored);
  return {
    name: 'shop.dump',
    format: 'any',
    database: 'shop',
    storedBytes: stored.length,
    sha256: createHash('sha256').update(stored).digest('hex'),
    dumpBytes: known.plain.length,
    compression: known.compression,
  };
}

/** Reads a stream to its end; the error where it fails, with what it gave before. */
export async function readAll(
  stream: Readable,
): Promise<{ readonly bytes: Buffer; readonly error: unknown }> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of stream) {
      pieces.push(piece as Buffer);
    }
    return { bytes: Buffer.concat(pieces), error: null };
  } catch (error) {
    return { bytes: Buffer.concat(pieces), error };
  }
}
