import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { zstdFrame, ZstdFrameError } from '../../../src/archive/zstd-frame.ts';
import { anyBytes, anyCuts, cutAt, zstdOf } from '../../support/archives.ts';

function follow(pieces: readonly Uint8Array[]): {
  readonly taken: number;
  readonly whole: boolean;
} {
  const frame = zstdFrame();
  const taken = pieces.reduce((sum, piece) => sum + frame.push(piece), 0);
  return { taken, whole: frame.whole };
}

describe('zstdFrame', () => {
  test('ends where the frame ends, whatever follows and however it is cut', () => {
    fc.assert(
      fc.property(anyBytes(), fc.uint8Array({ maxLength: 20 }), anyCuts(), (plain, rest, cuts) => {
        const frame = zstdOf(plain);
        const pieces = cutAt(Buffer.concat([frame, rest]), cuts);
        expect(follow(pieces)).toEqual({ taken: frame.length, whole: true });
      }),
    );
  });

  test('has raw, repeated and compressed blocks, and many of them', () => {
    const plain = Buffer.concat([
      randomBytes(300_000),
      Buffer.alloc(300_000),
      Buffer.from('words, '.repeat(50_000)),
    ]);
    const frame = zstdOf(plain);
    expect(follow([frame, frame])).toEqual({ taken: frame.length, whole: true });
  });

  test('is not whole before its last byte', () => {
    const frame = zstdOf(Buffer.from('a few words'));
    for (let length = 0; length < frame.length; length += 1) {
      expect(follow([frame.subarray(0, length)])).toEqual({ taken: length, whole: false });
    }
  });

  test.each([
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0])],
    ['a skippable frame', Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0])],
    ['no checksum', zstdCompressSync(Buffer.from('words'))],
    ['an unknown kind of block', Buffer.from('28b52ffd0400070000', 'hex')],
  ])('refuses %s', (_what, bytes) => {
    expect(() => follow([bytes])).toThrow(ZstdFrameError);
  });
});
