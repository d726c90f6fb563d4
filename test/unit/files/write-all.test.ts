import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeTogether } from '../../../src/files/write-all.ts';
import { temporaryFolder } from '../../support/storage.ts';

const PIECES = ['one ', 'and ', 'two'].map((text) => Buffer.from(text));

test('pieces are written one behind the other, also where the disk takes less at once', async () => {
  await using folder = await temporaryFolder();
  await using file = await open(join(folder.dir, 'file'), 'w+');
  await writeTogether(file, PIECES, 0);
  await writeTogether(file, [], 11);
  const filling = {
    writev: async ([first]: readonly Buffer[], at: number) =>
      file.write(first ?? Buffer.alloc(0), 0, 2, at),
    write: async (bytes: Buffer, from: number, length: number, at: number) =>
      file.write(bytes, from, Math.min(length, 3), at),
  };
  await writeTogether(filling as unknown as FileHandle, PIECES, 11);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(40), 0, 40, 0);
  expect(buffer.toString('utf8', 0, bytesRead)).toBe('one and twoone and two');
});
