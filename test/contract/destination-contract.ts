import { writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Destination, PutFileOptions } from '../../src/core/destination.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/storage.ts';
import {
  CALM,
  download,
  fileOf,
  MIB,
  PART_BYTES,
  testJournal,
  type TestJournal,
} from '../support/uploads.ts';

/** A place that is empty at the beginning, and as many destinations as wanted that are it. */
export interface TestPlace extends AsyncDisposable {
  /** A new one, as another process has it. */
  open(): Promise<Destination>;
  readonly what: {
    /** Whether an object can be put by two at once and only one of them succeeds. */
    readonly excludes: boolean;
    /** Whether unfinished uploads of several keys are listed together. */
    readonly listsUploadsByPrefix: boolean;
    readonly keepsVersions: boolean;
  };
}

function options(
  journal: TestJournal = testJournal(),
  onProgress: PutFileOptions['onProgress'] = () => {},
): PutFileOptions & { readonly journal: TestJournal } {
  return { journal, onProgress };
}

async function keysOf(destination: Destination, prefix: string): Promise<readonly string[]> {
  const found = await Array.fromAsync(destination.list(prefix, CALM));
  return found.map(({ key }) => key).toSorted();
}

/** What every destination must do. */
export function describeDestination(title: string, start: () => Promise<TestPlace>): void {
  describe(title, () => {
    let place: TestPlace;
    let folder: TemporaryFolder;
    let destination: Destination;

    beforeAll(async () => {
      folder = await temporaryFolder();
      place = await start();
      destination = await place.open();
    });
    afterAll(async () => {
      await place[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    });

    test('says what it is, and has nothing at the beginning', async () => {
      const facts = await destination.inspect(CALM);
      expect(facts.keepsVersions).toBe(place.what.keepsVersions);
      expect(await keysOf(destination, '')).toEqual([]);
      expect(await destination.head('demo/db/none', null, CALM)).toBeNull();
      expect(await destination.get('demo/db/none', null, CALM)).toBeNull();
      expect(await destination.remove('demo/db/none', null, CALM)).toEqual({
        outcome: expect.stringMatching('removed|hidden') as string,
      });
    });

    test.each([
      ['nothing', 0],
      ['one byte', 1],
      ['exactly a part', PART_BYTES],
      ['a part and a byte', PART_BYTES + 1],
      ['exactly two parts', 2 * PART_BYTES],
    ])('puts a file of %s and gives it back', async (name, bytes) => {
      const key = `sizes/db/${name.replaceAll(' ', '-')}`;
      const file = await fileOf(folder.dir, bytes);
      const journal = testJournal();
      const progress: number[] = [];
      const put = await destination.putFile(
        key,
        file,
        options(journal, (done) => progress.push(done)),
        CALM,
      );
      expect(put.sentBytes).toBe(bytes);
      expect(progress.at(-1)).toBe(bytes);
      expect(journal.state()).toBeNull();
      const head = await destination.head(key, null, CALM);
      expect(head).toMatchObject({
        key,
        bytes,
        sha256: file.sha256,
        retrieval: 'readable',
        lockedUntil: null,
      });
      expect(head?.etag).toBe(put.etag);
      expect((await download(destination, key, 5 * MIB)).equals(file.content)).toBe(true);
      const [listed] = await Array.fromAsync(destination.list(key, CALM));
      expect(listed).toMatchObject({ key, bytes, etag: head?.etag });
      expect(Math.abs(Date.parse(listed?.modifiedAt ?? '') - Date.now())).toBeLessThan(600_000);
    });

    test('sends nothing where the same is there already, and all where it is another', async () => {
      const file = await fileOf(folder.dir, 1000);
      await destination.putFile('again/db/a', file, options(), CALM);
      const again = await (await place.open()).putFile('again/db/a', file, options(), CALM);
      expect(again.sentBytes).toBe(0);
      const other = await fileOf(folder.dir, 1000, 'other');
      expect((await destination.putFile('again/db/a', other, options(), CALM)).sentBytes).toBe(
        1000,
      );
      expect((await destination.head('again/db/a', null, CALM))?.sha256).toBe(other.sha256);
    });

    test('goes on after an abort with what is missing', async () => {
      const file = await fileOf(folder.dir, 3 * PART_BYTES);
      const journal = testJournal();
      const stop = new AbortController();
      const reason = new Error('enough');
      let doneBytes = 0;
      const cut = destination.putFile(
        'resumed/db/a',
        file,
        options(journal, (done) => {
          doneBytes = done;
          if (done >= PART_BYTES) {
            stop.abort(reason);
          }
        }),
        stop.signal,
      );
      await expect(cut).rejects.toBe(reason);
      expect(doneBytes).toBeGreaterThanOrEqual(PART_BYTES);
      expect(await destination.head('resumed/db/a', null, CALM)).toBeNull();
      const progress: number[] = [];
      const rest = await (
        await place.open()
      ).putFile(
        'resumed/db/a',
        file,
        options(journal, (done) => progress.push(done)),
        CALM,
      );
      expect(rest.sentBytes).toBeLessThanOrEqual(file.bytes - doneBytes);
      expect(progress.at(-1)).toBe(file.bytes);
      expect((await download(destination, 'resumed/db/a', PART_BYTES)).equals(file.content)).toBe(
        true,
      );
      expect(await Array.fromAsync(destination.listUploads('resumed/', CALM))).toEqual([]);
    });

    test('tells of what was not finished, and ends it', async () => {
      const file = await fileOf(folder.dir, 2 * PART_BYTES);
      const stop = new AbortController();
      const journal = testJournal();
      const cut = destination.putFile(
        'unfinished/db/a',
        file,
        options(journal, () => stop.abort()),
        stop.signal,
      );
      await expect(cut).rejects.toThrow('abort');
      const prefix = place.what.listsUploadsByPrefix ? 'unfinished/' : 'unfinished/db/a';
      const found = await Array.fromAsync(destination.listUploads(prefix, CALM));
      expect(found).toEqual([
        {
          key: 'unfinished/db/a',
          uploadId: journal.state()?.uploadId ?? (expect.any(String) as string),
          beganAt: expect.any(String) as string,
        },
      ]);
      expect(await keysOf(destination, 'unfinished/')).toEqual([]);
      for (const upload of [...found, ...found]) {
        await destination.abortUpload(upload, CALM);
      }
      expect(await Array.fromAsync(destination.listUploads(prefix, CALM))).toEqual([]);
      // The record of what is gone is in nobody's way.
      await destination.putFile('unfinished/db/a', file, options(journal), CALM);
      expect((await destination.head('unfinished/db/a', null, CALM))?.sha256).toBe(file.sha256);
    });

    test.each([
      ['small', 1000],
      ['large', 2 * PART_BYTES],
    ])('never puts a %s file that is not what it was', async (name, bytes) => {
      const key = `damaged/db/${name}`;
      const file = await fileOf(folder.dir, bytes);
      file.content[bytes - 1] = (file.content[bytes - 1] ?? 0) ^ 1;
      await writeFile(file.path, file.content);
      const journal = testJournal();
      await expect(destination.putFile(key, file, options(journal), CALM)).rejects.toMatchObject({
        code: 'archive-corrupt',
      });
      await writeFile(file.path, file.content.subarray(1));
      await expect(destination.putFile(key, file, options(journal), CALM)).rejects.toMatchObject({
        code: 'archive-corrupt',
      });
      expect(await keysOf(destination, 'damaged/')).toEqual([]);
      expect(await Array.fromAsync(destination.listUploads(key, CALM))).toEqual([]);
    });

    test('puts two files at once', async () => {
      const files = [
        await fileOf(folder.dir, 2 * PART_BYTES, 'one'),
        await fileOf(folder.dir, PART_BYTES + 7, 'two'),
      ];
      await Promise.all(
        files.map(async (file, index) =>
          destination.putFile(`both/db/${index}`, file, options(), CALM),
        ),
      );
      for (const [index, file] of files.entries()) {
        expect(
          (await download(destination, `both/db/${index}`, PART_BYTES)).equals(file.content),
        ).toBe(true);
      }
    });

    test('replaces small objects, and does not where it must not', async () => {
      const key = 'owner/owner.json';
      expect(await destination.put(key, Buffer.from('one'), { ifAbsent: true }, CALM)).toBe('put');
      expect(await destination.put(key, Buffer.from('two'), { ifAbsent: true }, CALM)).toBe(
        'exists',
      );
      // As where the answer to the first one was lost.
      expect(await destination.put(key, Buffer.from('one'), { ifAbsent: true }, CALM)).toBe('put');
      expect(String(await destination.get(key, null, CALM))).toBe('one');
      const before = await destination.head(key, null, CALM);
      expect(await destination.put(key, Buffer.from('two'), { ifAbsent: false }, CALM)).toBe('put');
      expect(String(await destination.get(key, null, CALM))).toBe('two');
      expect((await destination.head(key, null, CALM))?.etag).not.toBe(before?.etag);
    });

    test('of two that put at once one is first', async () => {
      const others = await Promise.all([place.open(), place.open(), place.open()]);
      const results = await Promise.all(
        others.map(async (other, index) =>
          other.put('race/owner.json', Buffer.from(String(index)), { ifAbsent: true }, CALM),
        ),
      );
      const winner = String(await destination.get('race/owner.json', null, CALM));
      expect(results[Number(winner)]).toBe('put');
      expect(results.filter((result) => result === 'put')).toHaveLength(
        place.what.excludes ? 1 : results.filter((result) => result === 'put').length,
      );
    });

    test.each([
      'odd/db/20261122T020000Z-full-3fa9/we%69rd.dump.zst',
      'odd/with blank/a+b & c=d?e#f',
      'odd/ümläut/日本/😀.zst',
      'odd/quotes\'"<>/;:,@$!*()~',
      'odd/dots/...a./.b',
      'odd/back\\slash/{}[]|^`',
      `odd/long/${'x'.repeat(200)}`,
    ])('takes the key %s', async (key) => {
      const content = Buffer.from(key);
      await destination.put(key, content, { ifAbsent: false }, CALM);
      expect((await destination.get(key, null, CALM))?.equals(content)).toBe(true);
      expect(await keysOf(destination, key)).toEqual([key]);
      const file = await fileOf(folder.dir, 10);
      await destination.putFile(`${key}.file`, file, options(), CALM);
      expect(await destination.head(`${key}.file`, null, CALM)).toMatchObject({
        key: `${key}.file`,
        sha256: file.sha256,
      });
      await destination.remove(key, null, CALM);
      expect(await keysOf(destination, key)).toEqual([`${key}.file`]);
    });

    test.each(['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'a/./b', '.backupd/marker', 'a\0b'])(
      'refuses the key %j',
      async (key) => {
        await expect(
          destination.put(key, Buffer.from('x'), { ifAbsent: false }, CALM),
        ).rejects.toThrow('can be no key');
        await expect(destination.get(key, null, CALM)).rejects.toThrow('can be no key');
      },
    );

    test('lists by the beginning of keys, in pages', async () => {
      const keys = Array.from(
        { length: 1005 },
        (_, index) => `many/db/${String(index).padStart(4, '0')}/receipt.json`,
      );
      for (let from = 0; from < keys.length; from += 32) {
        await Promise.all(
          keys
            .slice(from, from + 32)
            .map(async (key) => destination.put(key, Buffer.from('x'), { ifAbsent: false }, CALM)),
        );
      }
      expect(await keysOf(destination, 'many/')).toEqual(keys);
      expect(await keysOf(destination, 'many/db/000')).toEqual(keys.slice(0, 10));
      expect(await keysOf(destination, 'many/d/')).toEqual([]);
      expect(await Array.fromAsync(destination.listVersions('many/', CALM))).toHaveLength(1005);
    });

    test('removes for good, and what is not there is removed', async () => {
      await destination.put('gone/db/a/manifest.json', Buffer.from('a'), { ifAbsent: false }, CALM);
      await destination.put('gone/db/b', Buffer.from('b'), { ifAbsent: false }, CALM);
      for (let times = 0; times < 2; times += 1) {
        for await (const { key, versionId } of destination.listVersions('gone/db/a', CALM)) {
          expect(await destination.remove(key, versionId, CALM)).toEqual({ outcome: 'removed' });
          expect(await destination.remove(key, versionId, CALM)).toEqual({ outcome: 'removed' });
        }
      }
      expect(await destination.get('gone/db/a/manifest.json', null, CALM)).toBeNull();
      expect(await Array.fromAsync(destination.listVersions('gone/db/a', CALM))).toEqual([]);
      expect(await keysOf(destination, 'gone/')).toEqual(['gone/db/b']);
    });

    test('gives no bytes of an object that was replaced meanwhile', async () => {
      await destination.put('changing/db/a', Buffer.from('12345'), { ifAbsent: false }, CALM);
      const head = await destination.head('changing/db/a', null, CALM);
      expect(head).not.toBeNull();
      if (head !== null) {
        expect(
          String(await buffer(await destination.read(head, { from: 1, bytes: 3 }, CALM))),
        ).toBe('234');
        await destination.put('changing/db/a', Buffer.from('67890'), { ifAbsent: false }, CALM);
        // Where versions are kept it is the one that was looked at.
        const late = place.what.keepsVersions
          ? null
          : destination.read(head, { from: 1, bytes: 3 }, CALM);
        await (late === null
          ? undefined
          : expect(late.then(buffer)).rejects.toMatchObject({ code: 'destination-unavailable' }));
      }
    });

    test('does nothing once it is aborted', async () => {
      const reason = new Error('over');
      const signal = AbortSignal.abort(reason);
      const file = await fileOf(folder.dir, 10);
      await expect(destination.inspect(signal)).rejects.toBe(reason);
      await expect(destination.putFile('late/a', file, options(), signal)).rejects.toBe(reason);
      await expect(
        destination.put('late/a', Buffer.from('x'), { ifAbsent: false }, signal),
      ).rejects.toBe(reason);
      await expect(Array.fromAsync(destination.list('', signal))).rejects.toBe(reason);
      await expect(destination.head('late/a', null, signal)).rejects.toBe(reason);
      await expect(destination.get('late/a', null, signal)).rejects.toBe(reason);
      await expect(destination.remove('late/a', null, signal)).rejects.toBe(reason);
      expect(await keysOf(destination, 'late/')).toEqual([]);
    });
  });
}
