import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CHUNK_BYTES,
  openPayload,
  sealPayload,
  type Payload,
} from '../../../src/encryption/age-payload.ts';
import { anyCuts, cutAt } from '../../support/archives.ts';

const FILE_KEY = randomBytes(16);
const NONCE = randomBytes(16);
const SEALED_BYTES = CHUNK_BYTES + 16;

function through(payload: Payload, bytes: Uint8Array, cuts: readonly number[] = []): Buffer {
  const given = cutAt(bytes, cuts).flatMap((piece) => [...payload.push(piece)]);
  return Buffer.concat([...given, ...payload.end()]);
}

function seal(plain: Uint8Array): Buffer {
  return through(sealPayload(FILE_KEY, NONCE), plain);
}

/** What is given of sealed bytes, and how it ends. */
function open(sealed: Uint8Array, cuts: readonly number[] = []): { plain: Buffer; error: unknown } {
  const payload = openPayload(FILE_KEY, NONCE);
  const given: Buffer[] = [];
  try {
    for (const piece of cutAt(sealed, cuts)) {
      for (const plain of payload.push(piece)) {
        given.push(plain);
      }
    }
    given.push(...payload.end());
  } catch (error) {
    return { plain: Buffer.concat(given), error };
  }
  return { plain: Buffer.concat(given), error: null };
}

/** Lengths around the ends of chunks, where mistakes would be. */
function anyLength(): fc.Arbitrary<number> {
  return fc.oneof(
    fc.nat({ max: 300_000 }),
    fc
      .tuple(fc.nat({ max: 4 }), fc.integer({ min: -17, max: 17 }))
      .map(([chunks, more]) => Math.max(0, chunks * CHUNK_BYTES + more)),
  );
}

function chunksOf(sealed: Buffer): readonly Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < sealed.length; at += SEALED_BYTES) {
    chunks.push(sealed.subarray(at, at + SEALED_BYTES));
  }
  return chunks;
}

const CORRUPT = expect.objectContaining({ code: 'archive-corrupt' }) as unknown;

describe('a payload', () => {
  test('comes back as it was, however it is cut on either way, with a tag for each chunk', () => {
    fc.assert(
      fc.property(anyLength(), anyCuts(), anyCuts(), (length, cutsThere, cutsBack) => {
        const plain = randomBytes(length);
        const sealed = through(sealPayload(FILE_KEY, NONCE), plain, cutsThere);
        expect(sealed.length).toBe(length + 16 * Math.max(1, Math.ceil(length / CHUNK_BYTES)));
        const { plain: back, error } = open(sealed, cutsBack);
        expect(error).toBeNull();
        expect(back.equals(plain)).toBe(true);
      }),
    );
  });

  test('that is altered in one bit gives whole chunks before it, and fails', () => {
    fc.assert(
      fc.property(
        anyLength(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.nat({ max: 7 }),
        (length, place, bit) => {
          const plain = randomBytes(length);
          const sealed = seal(plain);
          const at = Math.floor(place * sealed.length);
          sealed.writeUInt8(sealed.readUInt8(at) ^ (1 << bit), at);
          const { plain: back, error } = open(sealed);
          expect(error).toEqual(CORRUPT);
          const before = Math.floor(at / SEALED_BYTES) * CHUNK_BYTES;
          expect(back.equals(plain.subarray(0, before))).toBe(true);
        },
      ),
    );
  });

  test('that is cut anywhere gives whole chunks before that, and fails', () => {
    fc.assert(
      fc.property(
        anyLength(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (length, place) => {
          const plain = randomBytes(length);
          const sealed = seal(plain);
          const { plain: back, error } = open(
            sealed.subarray(0, Math.floor(place * sealed.length)),
          );
          expect(error).toEqual(CORRUPT);
          expect(back.equals(plain.subarray(0, back.length))).toBe(true);
          expect(back.length % CHUNK_BYTES).toBe(0);
        },
      ),
    );
  });

  test('that is cut at the end of a chunk is noticed', () => {
    const sealed = seal(randomBytes(3 * CHUNK_BYTES));
    for (const chunks of [0, 1, 2]) {
      expect(open(sealed.subarray(0, chunks * SEALED_BYTES)).error).toEqual(CORRUPT);
    }
  });

  test.each([
    ['in another order', [1, 0, 2, 3]],
    ['with one missing', [0, 2, 3]],
    ['with one twice', [0, 1, 1, 2, 3]],
    ['with the last one twice', [0, 1, 2, 3, 3]],
    ['with the last one first', [3, 0, 1, 2]],
    ['with the first one at the end', [0, 1, 2, 3, 0]],
  ])('with its chunks %s fails', (_, order) => {
    const plain = randomBytes(3 * CHUNK_BYTES + 100);
    const chunks = chunksOf(seal(plain));
    const { plain: back, error } = open(Buffer.concat(order.map((n) => chunks[n] ?? NONCE)));
    expect(error).toEqual(CORRUPT);
    expect(back.equals(plain.subarray(0, back.length))).toBe(true);
  });

  test('with bytes behind its end fails', () => {
    for (const more of [1, 16, 17, SEALED_BYTES]) {
      expect(open(Buffer.concat([seal(Buffer.from('x')), randomBytes(more)])).error).toEqual(
        CORRUPT,
      );
    }
  });

  test('of another file, or under another nonce, is not opened', () => {
    const sealed = seal(Buffer.from('secret'));
    for (const other of [openPayload(randomBytes(16), NONCE), openPayload(FILE_KEY, FILE_KEY)]) {
      expect(() => through(other, sealed)).toThrow(/encrypted data/);
    }
  });
});
