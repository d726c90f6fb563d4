import { createHash, randomFillSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type {
  Destination,
  DestinationMemory,
  FileToPut,
  PutFileOptions,
  UploadJournal,
  UploadState,
} from '../../src/core/destination.ts';

export const MIB = 1024 * 1024;
/** As uploads of buckets make them. */
export const PART_BYTES = 16 * MIB;

/** A signal that is never aborted. */
export const CALM = new AbortController().signal;

/** A file of random bytes in this folder. */
export async function fileOf(
  dir: string,
  bytes: number,
  name = `file-${bytes}`,
): Promise<FileToPut & { readonly content: Buffer }> {
  const content = randomFillSync(Buffer.alloc(bytes));
  const path = join(dir, name);
  await writeFile(path, content);
  return { path, bytes, sha256: createHash('sha256').update(content).digest('hex'), content };
}

/** A journal that outlives every destination. */
export interface TestJournal extends UploadJournal {
  readonly state: () => UploadState | null;
}

export function testJournal(): TestJournal {
  let text: string | null = null;
  return {
    state: () => (text === null ? null : (JSON.parse(text) as UploadState)),
    read() {
      return Promise.resolve(this.state());
    },
    write(state) {
      text = JSON.stringify(state);
      return Promise.resolve();
    },
    clear() {
      text = null;
      return Promise.resolve();
    },
  };
}

/** What a destination is remembered by, for as long as this is. */
export function testMemory(): DestinationMemory {
  let wasUsed = false;
  return {
    wasUsed: () => Promise.resolve(wasUsed),
    noteUse() {
      wasUsed = true;
      return Promise.resolve();
    },
  };
}

/** All of an object, in ranges of so many bytes. */
export async function download(
  destination: Destination,
  key: string,
  rangeBytes: number,
): Promise<Buffer> {
  const head = await destination.head(key, null, CALM);
  if (head === null) {
    throw new Error(`there is no ${key}`);
  }
  const pieces: Buffer[] = [];
  for (let from = 0; from < head.bytes; from += rangeBytes) {
    const range = { from, bytes: Math.min(rangeBytes, head.bytes - from) };
    pieces.push(await buffer(await destination.read(head, range, CALM)));
  }
  return Buffer.concat(pieces);
}

/** How a file is put. */
export function options(
  journal: TestJournal = testJournal(),
  onProgress: PutFileOptions['onProgress'] = () => {},
): PutFileOptions & { readonly journal: TestJournal } {
  return { journal, wrongEtag: null, onProgress };
}

/** Keys that begin with this, sorted. */
export async function keysOf(destination: Destination, prefix: string): Promise<readonly string[]> {
  const found = await Array.fromAsync(destination.list(prefix, CALM));
  return found.map(({ key }) => key).toSorted();
}
