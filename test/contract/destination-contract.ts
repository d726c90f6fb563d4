import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Destination } from '../../src/core/destination.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/storage.ts';
import {
  CALM,
  download,
  fileOf,
  keysOf,
  MIB,
  options,
  PART_BYTES,
  testJournal,
} from '../support/uploads.ts';
import { describeObjects, type TestPlace } from './destination-objects.ts';

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

    describeObjects(() => ({ place, folder, destination }));

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
