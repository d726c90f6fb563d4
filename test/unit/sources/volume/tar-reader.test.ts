import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PartFacts } from '../../../../src/core/source.ts';
import { tarReader } from '../../../../src/sources/volume/tar-reader.ts';
import { paperTar, type PaperMember } from '../../../support/paper-tar.ts';

/** By GNU tar with the arguments of a backup. */
const RICH = readFileSync(join(import.meta.dirname, '../../../fixtures/volume-tar/rich.tar'));
const CORRUPT = expect.objectContaining({ code: 'archive-corrupt' }) as Error;

function read(bytes: Buffer, cutAt: readonly number[] = []): PartFacts {
  const reader = tarReader();
  let from = 0;
  for (const to of [...cutAt.toSorted((one, other) => one - other), bytes.length]) {
    reader.push(bytes.subarray(from, to));
    from = to;
  }
  return reader.end();
}

function digestOf(...members: readonly PaperMember[]): string {
  return read(paperTar(...members)).digest ?? '';
}

/** A sparse file as GNU tar writes it: its map, then the pieces that are not holes. */
function sparse(size: number, pieces: readonly (readonly [number, Buffer])[]): PaperMember {
  const numbers = [pieces.length, ...pieces.flatMap(([at, bytes]) => [at, bytes.length])];
  const map = Buffer.from(numbers.map((one) => `${one}\n`).join(''));
  const padded = Buffer.concat([map, Buffer.alloc((512 - (map.length % 512)) % 512)]);
  return {
    content: Buffer.concat([padded, ...pieces.map(([, bytes]) => bytes)]),
    extended: {
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.name': './file',
      'GNU.sparse.realsize': String(size),
    },
  };
}

describe('an archive of GNU tar', () => {
  test('is whole, and all of it is counted', () => {
    expect(read(RICH)).toEqual({
      sizeBytes: 8 + 0 + 1 + 1_048_576 + 5000,
      objects: {
        entries: 12,
        directories: 3,
        files: 5,
        hardLinks: 1,
        symbolicLinks: 1,
        fifos: 1,
        devices: 1,
      },
      digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
  });

  test('reads the same wherever it is cut into pieces', () => {
    const whole = read(RICH);
    fc.assert(
      fc.property(fc.array(fc.nat(RICH.length), { maxLength: 8 }), (cuts) => {
        expect(read(RICH, cuts)).toEqual(whole);
      }),
    );
  });

  test('is not whole where it ends at any earlier byte', () => {
    // Nothing of it is read but in blocks of 512 bytes.
    const lengths = Array.from({ length: RICH.length / 512 }, (_, block) =>
      [0, 1, 511].map((more) => block * 512 + more),
    );
    for (const length of lengths.flat()) {
      expect(() => read(RICH.subarray(0, length)), `${length} bytes`).toThrow(CORRUPT);
    }
  });

  test.each([
    ['doubled', Buffer.concat([RICH, RICH])],
    ['longer', Buffer.concat([RICH, Buffer.from([0, 1])])],
    ['without its beginning', RICH.subarray(512)],
    ['nothing', Buffer.alloc(0)],
  ])('is refused where it is %s', (_how, bytes) => {
    expect(() => read(bytes)).toThrow(CORRUPT);
  });
});

describe('the digest', () => {
  const content = Buffer.from('content');

  test.each<readonly [string, PaperMember]>([
    ['path', { content, path: './other' }],
    ['type', { type: '6' }],
    ['mode', { content, mode: 0o600 }],
    ['owner', { content, uid: 1 }],
    ['content', { content: Buffer.from('Content') }],
    ['size', { content: Buffer.from('content\0') }],
    ['an attribute', { content, extended: { 'SCHILY.xattr.user.a': 'b' } }],
    ['an ACL', { content, extended: { 'SCHILY.acl.access': 'user::rw-' } }],
  ])('is another one with another %s', (_what, changed) => {
    expect(digestOf(changed)).not.toBe(digestOf({ content }));
  });

  test('is another one wherever a bit of the content is flipped, and a flipped header is refused', () => {
    const whole = paperTar({ content: Buffer.alloc(600, 7) });
    const { digest } = read(whole);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1023 + 600 }), fc.nat(7), (at, bit) => {
        const flipped = Buffer.from(whole);
        // The checksum itself may be written in several ways.
        fc.pre(at % 512 < 148 || at % 512 > 155 || at >= 1024);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        if (at < 1024) {
          expect(() => read(flipped)).toThrow(CORRUPT);
        } else {
          expect(read(flipped).digest).not.toBe(digest);
        }
      }),
    );
  });

  test('says where links lead', () => {
    const link = { type: '2', link: 'a' };
    expect(digestOf({ ...link, link: 'b' })).not.toBe(digestOf(link));
  });

  test('is the same however a file system holds the content', () => {
    const piece = fc.record({
      hole: fc.nat(3 * 4096),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 2 * 4096 }),
      isZero: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), fc.nat(9000), (pieces, tail) => {
        let at = 0;
        const held = pieces.map(({ hole, bytes, isZero }) => {
          const from = at + hole;
          at = from + bytes.length;
          return [from, isZero ? Buffer.alloc(bytes.length) : Buffer.from(bytes)] as const;
        });
        const whole = Buffer.alloc(at + tail);
        for (const [from, bytes] of held) {
          bytes.copy(whole, from);
        }
        expect(digestOf(sparse(whole.length, held))).toBe(digestOf({ content: whole }));
      }),
    );
  });

  test('costs nothing for a hole of any size', () => {
    const end = Buffer.from('end');
    const size = 2 ** 50;
    expect(digestOf(sparse(size, [[size - 3, end]]))).not.toBe(
      digestOf(sparse(size, [[size - 4, end]])),
    );
  });
});

test.each<readonly [string, PaperMember]>([
  ['an absolute path', { path: '/etc/passwd' }],
  ['a path that leads up', { path: './a/../../b' }],
  ['a path that is none below the volume', { path: 'a' }],
  ['a hard link that leads outside', { type: '1', link: '../live' }],
  ['an absolute hard link', { type: '1', link: '/etc/passwd' }],
  ['a path in an extended header that leads up', { extended: { path: './../b' } }],
  ['a name that only restores have', { path: './.backupd-1/old' }],
  ['an unknown type', { type: 'S' }],
  ['a directory with content', { type: '5', content: Buffer.from('x') }],
  ['a number that is none', { extended: { size: '-1' } }],
  ['a map that passes the end', sparse(10, [[8, Buffer.from('abc')]])],
  ['an extended header that is endless', { type: 'x', size: 2 ** 32 }],
])('a member with %s is refused', (_what, wrong) => {
  expect(() => read(paperTar(wrong))).toThrow(CORRUPT);
});

test('names and attributes have any bytes', () => {
  const path = `./${'\xff\n='.repeat(80)}`;
  const facts = read(paperTar({ extended: { path, 'SCHILY.xattr.user.x': '\0=\n\xff' } }));
  expect(facts.objects).toEqual({ entries: 1, files: 1 });
});
