import { expect, test } from 'vitest';
import { singleFrame } from '../../../src/archive/codecs.ts';
import { zstdOf } from '../../support/archives.ts';

test('singleFrame sees by itself that a zstd frame is cut, whatever the decoder says', () => {
  const stored = zstdOf(Buffer.from('a few words'));
  for (let length = 0; length <= stored.length; length += 1) {
    const frame = singleFrame('zstd');
    frame.chunk(stored.subarray(0, length));
    if (length < stored.length) {
      expect(frame.end).toThrow('ends before its zstd frame does');
    } else {
      expect(frame.end).not.toThrow();
    }
  }
});
