import { createHash, randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  writeArchive,
  type ArchiveWriting,
  type WriteProgress,
} from '../../../src/archive/write-archive.ts';
import { zstdFrame } from '../../../src/archive/zstd-frame.ts';
import { noStages } from '../../../src/core/encryption.ts';
import { BackupdError } from '../../../src/core/errors.ts';
import type { Compression } from '../../../src/core/manifest.ts';
import type { StreamReader } from '../../../src/core/source.ts';
import { anyBytes, anyCuts, anyReader, cutAt, encode, streamOf } from '../../support/archives.ts';
import { having, matching } from '../../support/matchers.ts';
import { temporaryFolder } from '../../support/storage.ts';

const NEVER = new AbortController().signal;
const PLAIN = Buffer.from('some rows of a table\n'.repeat(20));

function writing(path: string, change: Partial<ArchiveWriting> = {}): ArchiveWriting {
  return {
    path,
    encoding: 'none',
    compression: { algorithm: 'zstd', level: 3 },
    encrypt: noStages,
    reader: anyReader(),
    onProgress: () => {},
    ...change,
  };
}

function encoded(encoding: Compression, path: string): ArchiveWriting {
  return writing(path, { encoding, compression: { algorithm: encoding, level: 3 } });
}

function decode(stored: Buffer, compression: Compression): Buffer {
  if (compression === 'none') {
    return stored;
  }
  return compression === 'zstd' ? zstdDecompressSync(stored) : gunzipSync(stored);
}

/** Keeps what it is shown. */
function recorder(): StreamReader & { readonly seen: () => Buffer } {
  const pieces: Buffer[] = [];
  return {
    push: (plain) => pieces.push(Buffer.from(plain)),
    end: () => ({ objects: { pieces: 1 } }),
    seen: () => Buffer.concat(pieces),
  };
}

describe('what is stored', () => {
  const algorithms = fc.constantFrom<Compression>('zstd', 'gzip', 'none');

  test('decodes to the dump, with its counts and its hash, wherever it is compressed', async () => {
    await using folder = await temporaryFolder();
    let number = 0;
    await fc.assert(
      fc.asyncProperty(
        anyBytes(),
        anyCuts(),
        algorithms,
        fc.boolean(),
        async (plain, cuts, algorithm, inTarget) => {
          number += 1;
          const path = join(folder.dir, String(number));
          const reader = recorder();
          const dump = inTarget ? encode(plain, algorithm) : Buffer.from(plain);
          const written = await writeArchive(
            streamOf(cutAt(dump, cuts)),
            writing(path, {
              encoding: inTarget ? algorithm : 'none',
              compression: { algorithm, level: 3 },
              reader,
            }),
            NEVER,
          );
          const stored = await readFile(path);
          expect(decode(stored, algorithm).equals(plain)).toBe(true);
          expect(reader.seen().equals(plain)).toBe(true);
          expect(written).toEqual({
            storedBytes: stored.length,
            dumpBytes: plain.length,
            sha256: createHash('sha256').update(stored).digest('hex'),
            facts: { objects: { pieces: 1 } },
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('is one zstd frame with a checksum, also where it fills the buffers of node:zlib exactly', async () => {
    await using folder = await temporaryFolder();
    for (let length = 262_100; length <= 262_144; length += 1) {
      const path = join(folder.dir, String(length));
      await writeArchive(streamOf([randomBytes(length)]), writing(path), NEVER);
      const stored = await readFile(path);
      const frame = zstdFrame();
      expect([frame.push(stored), frame.whole]).toEqual([stored.length, true]);
    }
  });

  test('can be read by its owner alone', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'archive');
    await writeArchive(streamOf([PLAIN]), writing(path), NEVER);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('never replaces a file', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'archive');
    await writeFile(path, 'older');
    await expect(writeArchive(streamOf([PLAIN]), writing(path), NEVER)).rejects.toThrow('EEXIST');
    expect(await readFile(path, 'utf8')).toBe('older');
  });

  test('is told of while it grows, and at its end', async () => {
    await using folder = await temporaryFolder();
    const told: WriteProgress[] = [];
    const { storedBytes, dumpBytes } = await writeArchive(
      streamOf([PLAIN]),
      writing(join(folder.dir, 'archive'), { onProgress: (progress) => told.push(progress) }),
      NEVER,
    );
    expect(told.at(-1)).toEqual({ storedBytes, dumpBytes });
  });
});

describe('a stream that its target compressed', () => {
  const frames = { zstd: encode(PLAIN, 'zstd'), gzip: encode(PLAIN, 'gzip') };

  describe.each(['zstd', 'gzip'] as const)('with %s', (encoding) => {
    const frame = frames[encoding];

    test('is refused wherever it is cut', async () => {
      await using folder = await temporaryFolder();
      for (let length = 0; length < frame.length; length += 1) {
        const path = join(folder.dir, String(length));
        const cut = streamOf(length === 0 ? [] : [frame.subarray(0, length)]);
        await expect(writeArchive(cut, encoded(encoding, path), NEVER)).rejects.toMatchObject({
          code: 'archive-corrupt',
          message: matching(new RegExp(`/${length}: `)),
        });
      }
    });

    test.each([
      ['a byte behind it', [frame, Buffer.from('x')]],
      ['a byte behind it in the same piece', [Buffer.concat([frame, Buffer.from('x')])]],
      ['a zero behind it', [frame, Buffer.alloc(1)]],
      ['a zero behind it in the same piece', [Buffer.concat([frame, Buffer.alloc(1)])]],
      ['another one behind it', [frame, frame]],
      ['another one in the same piece', [Buffer.concat([frame, frame])]],
      ['an empty one behind it', [frame, encode(Buffer.alloc(0), encoding)]],
    ])('is refused with %s', async (_what, pieces) => {
      await using folder = await temporaryFolder();
      const path = join(folder.dir, 'archive');
      await expect(
        writeArchive(streamOf(pieces), encoded(encoding, path), NEVER),
      ).rejects.toMatchObject({ code: 'archive-corrupt', message: matching(/after the end/) });
    });

    test('is refused with any byte of its content changed', async () => {
      await using folder = await temporaryFolder();
      // A gzip header's time, flags and system say nothing of the content.
      for (let at = encoding === 'gzip' ? 10 : 0; at < frame.length; at += 1) {
        const damaged = Buffer.from(frame);
        damaged[at] = (damaged[at] ?? 0) ^ 0x01;
        const path = join(folder.dir, String(at));
        const how = encoded(encoding, path);
        await expect(
          writeArchive(streamOf([damaged]), how, NEVER),
          `byte ${at}`,
        ).rejects.toMatchObject({ code: 'archive-corrupt' });
      }
    });

    test('takes in no more than it can pass on', async () => {
      await using folder = await temporaryFolder();
      const controller = new AbortController();
      const path = join(folder.dir, 'archive');
      const reader: StreamReader = {
        push() {
          controller.abort();
        },
        end: () => ({}),
      };
      let given = 0;
      const noise = encode(randomBytes(8 * 1024 * 1024), encoding);
      const stream = new Readable({
        read() {
          this.push(given < noise.length ? noise.subarray(given, given + 65_536) : null);
          given += 65_536;
        },
      });
      const how = { ...encoded(encoding, path), reader };
      await expect(writeArchive(stream, how, controller.signal)).rejects.toThrow('aborted');
      expect(given).toBeLessThan(1024 * 1024);
    });
  });

  test('is refused without a checksum', async () => {
    await using folder = await temporaryFolder();
    const how = encoded('zstd', join(folder.dir, 'archive'));
    await expect(
      writeArchive(streamOf([zstdCompressSync(PLAIN)]), how, NEVER),
    ).rejects.toMatchObject({
      code: 'archive-corrupt',
      message: matching(/without a checksum/),
    });
  });
});

describe('what goes wrong', () => {
  const failed = new BackupdError('dump-failed', 'pg_dump exited with 1');

  /** Gives these bytes, then fails instead of ending. */
  function failing(bytes: Buffer): Readable {
    return Readable.from(
      (async function* () {
        yield bytes;
        throw await Promise.resolve(failed);
      })(),
      { objectMode: false },
    );
  }

  test.each([
    ['none', PLAIN],
    ['zstd', encode(PLAIN, 'zstd')],
    ['zstd', encode(PLAIN, 'zstd').subarray(0, 12)],
    ['gzip', gzipSync(PLAIN).subarray(0, 12)],
  ] as const)("is told by the dump's own error: %s", async (encoding, bytes) => {
    await using folder = await temporaryFolder();
    const how = encoding === 'none' ? writing : encoded.bind(null, encoding);
    await expect(
      writeArchive(failing(bytes), how(join(folder.dir, 'archive')), NEVER),
    ).rejects.toBe(failed);
  });

  test('is told of a dump that had failed before', async () => {
    await using folder = await temporaryFolder();
    const stream = new PassThrough();
    stream.on('error', () => {});
    stream.destroy(failed);
    await expect(writeArchive(stream, writing(join(folder.dir, 'archive')), NEVER)).rejects.toBe(
      failed,
    );
  });

  test.each(['none', 'zstd'] as const)(
    'is what the reader says, with the name of the file; the dump is ended (%s)',
    async (encoding) => {
      await using folder = await temporaryFolder();
      const stream = new PassThrough();
      stream.write(encode(PLAIN, encoding));
      const reader: StreamReader = {
        push() {
          throw new BackupdError('archive-corrupt', 'is no archive of pg_dump');
        },
        end: () => ({}),
      };
      const path = join(folder.dir, 'shop.dump.zst');
      const how = encoding === 'none' ? writing(path) : encoded(encoding, path);
      await expect(writeArchive(stream, { ...how, reader }, NEVER)).rejects.toMatchObject({
        code: 'archive-corrupt',
        message: matching(/\/shop\.dump\.zst: is no archive of pg_dump$/),
      });
      expect(stream.destroyed).toBe(true);
    },
  );

  test('is what the reader says at the end', async () => {
    await using folder = await temporaryFolder();
    const reader: StreamReader = {
      push: () => {},
      end() {
        throw new BackupdError('archive-corrupt', 'ends too early');
      },
    };
    for (const encoding of ['none', 'zstd'] as const) {
      const how = { ...encoded(encoding, join(folder.dir, encoding)), reader };
      await expect(
        writeArchive(streamOf([encode(PLAIN, encoding)]), how, NEVER),
      ).rejects.toMatchObject({ code: 'archive-corrupt', message: matching(/ends too early/) });
    }
  });

  test('is said of the directory where there is none, and the dump is ended', async () => {
    await using folder = await temporaryFolder();
    const stream = new PassThrough();
    const path = join(folder.dir, 'gone', 'archive');
    await expect(writeArchive(stream, writing(path), NEVER)).rejects.toEqual(
      having({ code: 'storage-unavailable', message: `${path} cannot be used: ENOENT` }),
    );
    expect(stream.destroyed).toBe(true);
  });

  test('ends with the reason of the signal, though the dump is silent', async () => {
    await using folder = await temporaryFolder();
    const stream = new PassThrough();
    const controller = new AbortController();
    const how = writing(join(folder.dir, 'archive'));
    const result = writeArchive(stream, how, controller.signal);
    const reason = new BackupdError('locked', 'the lock was lost');
    controller.abort(reason);
    await expect(result).rejects.toBe(reason);
    expect(stream.destroyed).toBe(true);
  });
});
