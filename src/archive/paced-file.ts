import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { corruptArchive, errnoOf } from './failures.ts';
import type { StoredAt } from './read-archive.ts';

const PIECE_BYTES = 256 * 1024;

/**
 * A file on this disk that is read piece by piece, each when its turn has come; one that is missing is damage.
 * @param turn resolves when the next piece may be read; absent: it is read as fast as it can be
 */
export function pacedFile(path: string, turn?: () => Promise<void>): StoredAt {
  return turn === undefined
    ? path
    : {
        name: path,
        open: () =>
          Readable.from(readPaced(path, turn), { objectMode: false, highWaterMark: PIECE_BYTES }),
      };
}

async function* readPaced(path: string, turn: () => Promise<void>): AsyncGenerator<Buffer> {
  try {
    await using handle = await open(path, 'r');
    for (;;) {
      await turn();
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, null);
      if (bytesRead === 0) {
        return;
      }
      yield piece.subarray(0, bytesRead);
    }
  } catch (error) {
    throw errnoOf(error) === 'ENOENT' ? corruptArchive(path, 'is missing', error) : error;
  }
}
