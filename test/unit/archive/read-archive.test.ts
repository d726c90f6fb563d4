import { readdir, readlink, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkContent,
  checkStored,
  openArchive,
  openCompressed,
} from '../../../src/archive/read-archive.ts';
import { noStages } from '../../../src/core/encryption.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import type { ArchiveFile, Compression } from '../../../src/core/manifest.ts';
import type { StreamReader } from '../../../src/core/source.ts';
import { anyBytes, anyReader, encode, readAll, store } from '../../support/archives.ts';
import { matching } from '../../support/matchers.ts';
import { temporaryFolder } from '../../support/storage.ts';

const NEVER = new AbortController().signal;
const PLAIN = Buffer.from('some rows of a table\n'.repeat(20));
const COMPRESSIONS = ['zstd', 'gzip', 'none'] as const;

async function failureOf(path: string, file: ArchiveFile): Promise<unknown> {
  return (await readAll(openArchive(path, file, { decrypt: noStages, reader: null }, NEVER))).error;
}

function corrupt(fact: RegExp): unknown {
  return expect.objectContaining({ code: 'archive-corrupt', message: matching(fact) });
}

/** Stores damaged bytes under a record that fits them, and expects them to be refused all the same. */
async function expectRefused(
  damaged: Uint8Array,
  compression: Compression,
  what: string,
): Promise<void> {
  await using folder = await temporaryFolder();
  const path = join(folder.dir, 'shop.dump');
  const file = await store(path, damaged, { plain: PLAIN, compression });
  expect(await failureOf(path, file), what).toEqual(corrupt(/\/shop\.dump: /));
  if (compression !== 'none') {
    const { stream } = openCompressed(
      path,
      { ...file, compression },
      { decrypt: noStages, reader: null },
      NEVER,
    );
    expect((await readAll(stream)).error, what).toEqual(corrupt(/\/shop\.dump: /));
  }
}

describe('openArchive', () => {
  test('gives the plain bytes', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    await fc.assert(
      fc.asyncProperty(anyBytes(), fc.constantFrom(...COMPRESSIONS), async (plain, compression) => {
        const file = await store(path, encode(plain, compression), { plain, compression });
        const { bytes, error } = await readAll(
          openArchive(path, file, { decrypt: noStages, reader: anyReader() }, NEVER),
        );
        expect(error).toBeNull();
        expect(bytes.equals(plain)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test.each(COMPRESSIONS)(
    'refuses %s cut anywhere, though the record fits',
    async (compression) => {
      const stored = encode(PLAIN, compression);
      for (let length = 0; length < stored.length; length += 1) {
        await expectRefused(stored.subarray(0, length), compression, `cut at ${length}`);
      }
    },
  );

  test.each(['zstd', 'gzip'] as const)(
    'refuses %s with any byte of its content changed, though the record fits',
    async (compression) => {
      const stored = encode(PLAIN, compression);
      // A gzip header's time, flags and system say nothing of the content.
      for (let at = compression === 'gzip' ? 10 : 0; at < stored.length; at += 1) {
        const damaged = Buffer.from(stored);
        damaged[at] = (damaged[at] ?? 0) ^ 0x01;
        await expectRefused(damaged, compression, `byte ${at}`);
      }
    },
  );

  test.each(['zstd', 'gzip'] as const)(
    'refuses %s with anything behind it, though the record fits',
    async (compression) => {
      const stored = encode(PLAIN, compression);
      const half = encode(PLAIN.subarray(0, PLAIN.length / 2), compression);
      const empty = encode(Buffer.alloc(0), compression);
      await expectRefused(Buffer.concat([stored, Buffer.from('x')]), compression, 'a byte');
      await expectRefused(Buffer.concat([stored, Buffer.alloc(9)]), compression, 'zeros');
      await expectRefused(Buffer.concat([stored, empty]), compression, 'an empty frame');
      await expectRefused(Buffer.concat([half, half]), compression, 'in two frames');
    },
  );

  test('says what does not fit the record', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const stored = encode(PLAIN, 'zstd');
    const file = await store(path, stored, { plain: PLAIN, compression: 'zstd' });
    const { storedBytes, dumpBytes } = file;
    expect(await failureOf(path, { ...file, storedBytes: storedBytes + 12 })).toEqual(
      corrupt(/shop\.dump: is 12 bytes shorter than recorded$/),
    );
    expect(await failureOf(path, { ...file, storedBytes: storedBytes - 1 })).toEqual(
      corrupt(/is 1 bytes longer than recorded$/),
    );
    expect(await failureOf(path, { ...file, sha256: '0'.repeat(64) })).toEqual(
      corrupt(/SHA-256 differs/),
    );
    expect(await failureOf(path, { ...file, dumpBytes: dumpBytes + 1 })).toEqual(
      corrupt(new RegExp(`decodes to ${dumpBytes} bytes, ${dumpBytes + 1} were recorded`)),
    );
    await rm(path);
    expect(await failureOf(path, file)).toEqual(corrupt(/shop\.dump: is missing$/));
  });

  test('gives nothing of a file of the wrong size', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const file = await store(path, PLAIN, { plain: PLAIN, compression: 'none' });
    const longer = { ...file, storedBytes: file.storedBytes + 1 };
    const { bytes } = await readAll(
      openArchive(path, longer, { decrypt: noStages, reader: null }, NEVER),
    );
    expect(bytes.length).toBe(0);
  });

  test('fails after the last byte where only the reader is not content', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const file = await store(path, encode(PLAIN, 'zstd'), { plain: PLAIN, compression: 'zstd' });
    const reader: StreamReader = {
      push: () => {},
      end() {
        throw new BackupdError('archive-corrupt', 'has lost a table');
      },
    };
    const { bytes, error } = await readAll(
      openArchive(path, file, { decrypt: noStages, reader }, NEVER),
    );
    expect(bytes.equals(PLAIN)).toBe(true);
    expect(error).toEqual(corrupt(/shop\.dump: has lost a table$/));
  });

  test('closes the file when its consumer goes away', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const plain = randomBytes(8 * 1024 * 1024);
    const file = await store(path, encode(plain, 'zstd'), { plain, compression: 'zstd' });
    const stream = openArchive(path, file, { decrypt: noStages, reader: null }, NEVER);
    await once(stream, 'readable');
    expect(await openDescriptors(path)).toBe(1);
    stream.destroy();
    await once(stream, 'close');
    await expect.poll(() => openDescriptors(path)).toBe(0);
  });

  test('stops with the signal', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const plain = randomBytes(8 * 1024 * 1024);
    const file = await store(path, plain, { plain, compression: 'none' });
    const controller = new AbortController();
    const stream = openArchive(path, file, { decrypt: noStages, reader: null }, controller.signal);
    await once(stream, 'readable');
    controller.abort();
    expect((await readAll(stream)).error).toMatchObject({ name: 'AbortError' });
    await expect.poll(() => openDescriptors(path)).toBe(0);
  });
});

describe('openCompressed', () => {
  test('gives the stored bytes, each after the plain bytes in it were counted', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const plain = Buffer.concat([randomBytes(300_000), Buffer.alloc(30_000_000)]);
    const stored = encode(plain, 'zstd');
    const file = await store(path, stored, { plain, compression: 'zstd' });
    const { stream, plainBytes } = openCompressed(
      path,
      { ...file, compression: 'zstd' },
      { decrypt: noStages, reader: anyReader() },
      NEVER,
    );
    let bytes = Buffer.alloc(0);
    for await (const piece of stream as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, piece]);
      // Up to here each stored byte holds a plain one at least; a block of zstd that has not ended yet is not decoded.
      expect(plainBytes()).toBeGreaterThan(Math.min(bytes.length, 300_000) - 128 * 1024);
    }
    expect(bytes.equals(stored)).toBe(true);
    expect(plainBytes()).toBe(plain.length);
  });

  test('shows the plain bytes to the reader, and fails where it is not content', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const file = await store(path, encode(PLAIN, 'zstd'), { plain: PLAIN, compression: 'zstd' });
    const seen: Uint8Array[] = [];
    const reader: StreamReader = {
      push: (bytes) => seen.push(Buffer.from(bytes)),
      end() {
        throw new BackupdError('archive-corrupt', 'has lost a table');
      },
    };
    const { stream } = openCompressed(
      path,
      { ...file, compression: 'zstd' },
      { decrypt: noStages, reader },
      NEVER,
    );
    expect((await readAll(stream)).error).toEqual(corrupt(/has lost a table$/));
    expect(Buffer.concat(seen).equals(PLAIN)).toBe(true);
  });

  test('closes the file when its consumer goes away', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const plain = randomBytes(8 * 1024 * 1024);
    const file = await store(path, encode(plain, 'zstd'), { plain, compression: 'zstd' });
    const { stream } = openCompressed(
      path,
      { ...file, compression: 'zstd' },
      { decrypt: noStages, reader: null },
      NEVER,
    );
    await once(stream, 'readable');
    stream.destroy();
    await once(stream, 'close');
    await expect.poll(() => openDescriptors(path)).toBe(0);
  });
});

async function openDescriptors(path: string): Promise<number> {
  const links = await Promise.all(
    // A descriptor may be closed between the list and the look.
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links.filter((link) => link === path).length;
}

describe('checkStored', () => {
  test('sees size and hash, and does not decode', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const file = await store(path, Buffer.from('no zstd at all'), {
      plain: PLAIN,
      compression: 'zstd',
    });
    await expect(checkStored(path, file, NEVER)).resolves.toBeUndefined();
    const { storedBytes } = file;
    await expect(
      checkStored(path, { ...file, storedBytes: storedBytes + 1 }, NEVER),
    ).rejects.toEqual(corrupt(/1 bytes shorter/));
    await expect(checkStored(path, { ...file, sha256: '0'.repeat(64) }, NEVER)).rejects.toEqual(
      corrupt(/SHA-256 differs/),
    );
    await rm(path);
    await expect(checkStored(path, file, NEVER)).rejects.toEqual(corrupt(/is missing/));
  });

  test('stops with the reason of the signal', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const file = await store(path, PLAIN, { plain: PLAIN, compression: 'none' });
    const reason = new BackupdError('cancelled', 'enough');
    await expect(checkStored(path, file, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe('checkContent', () => {
  test('reads to the end and tells how much', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'shop.dump');
    const stored = encode(PLAIN, 'zstd');
    const file = await store(path, stored, { plain: PLAIN, compression: 'zstd' });
    let plainBytes = 0;
    const how = {
      decrypt: noStages,
      reader: anyReader(),
      onBytes: (bytes: number) => (plainBytes += bytes),
    };
    expect(await checkContent(path, file, how, NEVER)).toBe(stored.length);
    expect(plainBytes).toBe(PLAIN.length);
    await expect(checkContent(path, { ...file, dumpBytes: 1 }, how, NEVER)).rejects.toEqual(
      corrupt(/decodes to/),
    );
  });
});

test('a disk that cannot read some of it has damaged it', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.dir, 'shop.dump');
  const file = await store(path, PLAIN, { plain: PLAIN, compression: 'none' });
  const bad = {
    name: path,
    open: () =>
      new Readable({
        read() {
          this.destroy(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }));
        },
      }),
  };
  await expect(checkStored(bad, file, NEVER)).rejects.toEqual(corrupt(/cannot read all of it/));
  const how = { decrypt: noStages, reader: null, onBytes: () => {} };
  await expect(checkContent(bad, file, how, NEVER)).rejects.toEqual(
    corrupt(/cannot read all of it/),
  );
});
