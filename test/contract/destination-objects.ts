import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { Destination } from '../../src/core/destination.ts';
import type { TemporaryFolder } from '../support/storage.ts';
import { CALM, fileOf, keysOf, MIB, options } from '../support/uploads.ts';

/** A place that is empty at the beginning, and as many destinations as wanted that are it. */
export interface TestPlace extends AsyncDisposable {
  /** A new one, as another process has it. */
  open(): Promise<Destination>;
  readonly what: {
    /** Whether unfinished uploads of several keys are listed together. */
    readonly listsUploadsByPrefix: boolean;
    readonly keepsVersions: boolean;
  };
}

/** What every destination must do with objects once they are there. */
export function describeObjects(
  at: () => {
    readonly place: TestPlace;
    readonly folder: TemporaryFolder;
    readonly destination: Destination;
  },
): void {
  test('replaces small objects, and does not where it must not', async () => {
    const key = 'owner/owner.json';
    expect(await at().destination.put(key, Buffer.from('one'), { ifAbsent: true }, CALM)).toBe(
      'put',
    );
    expect(await at().destination.put(key, Buffer.from('two'), { ifAbsent: true }, CALM)).toBe(
      'exists',
    );
    // As where the answer to the first one was lost.
    expect(await at().destination.put(key, Buffer.from('one'), { ifAbsent: true }, CALM)).toBe(
      'put',
    );
    expect(String(await at().destination.get(key, null, CALM))).toBe('one');
    const before = await at().destination.head(key, null, CALM);
    expect(await at().destination.put(key, Buffer.from('two'), { ifAbsent: false }, CALM)).toBe(
      'put',
    );
    expect(String(await at().destination.get(key, null, CALM))).toBe('two');
    expect((await at().destination.head(key, null, CALM))?.etag).not.toBe(before?.etag);
  });

  test('of two that put at once one is first', async () => {
    const others = await Promise.all([at().place.open(), at().place.open(), at().place.open()]);
    const results = await Promise.all(
      others.map(async (other, index) =>
        other.put('race/owner.json', Buffer.from(String(index)), { ifAbsent: true }, CALM),
      ),
    );
    const winner = String(await at().destination.get('race/owner.json', null, CALM));
    expect(results[Number(winner)]).toBe('put');
    expect(results.filter((result) => result === 'put')).toHaveLength(1);
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
    await at().destination.put(key, content, { ifAbsent: false }, CALM);
    expect((await at().destination.get(key, null, CALM))?.equals(content)).toBe(true);
    expect(await keysOf(at().destination, key)).toEqual([key]);
    const file = await fileOf(at().folder.dir, 10);
    await at().destination.putFile(`${key}.file`, file, options(), CALM);
    expect(await at().destination.head(`${key}.file`, null, CALM)).toMatchObject({
      key: `${key}.file`,
      sha256: file.sha256,
    });
    await at().destination.remove(key, null, CALM);
    expect(await keysOf(at().destination, key)).toEqual([`${key}.file`]);
  });

  test.each(['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'a/./b', '.backupd/marker', 'a\0b'])(
    'refuses the key %j',
    async (key) => {
      await expect(
        at().destination.put(key, Buffer.from('x'), { ifAbsent: false }, CALM),
      ).rejects.toThrow('can be no key');
      await expect(at().destination.get(key, null, CALM)).rejects.toThrow('can be no key');
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
          .map(async (key) =>
            at().destination.put(key, Buffer.from('x'), { ifAbsent: false }, CALM),
          ),
      );
    }
    expect(await keysOf(at().destination, 'many/')).toEqual(keys);
    expect(await keysOf(at().destination, 'many/db/000')).toEqual(keys.slice(0, 10));
    expect(await keysOf(at().destination, 'many/d/')).toEqual([]);
    expect(await Array.fromAsync(at().destination.listVersions('many/', CALM))).toHaveLength(1005);
  });

  test('removes for good, and what is not there is removed', async () => {
    await at().destination.put(
      'gone/db/a/manifest.json',
      Buffer.from('a'),
      { ifAbsent: false },
      CALM,
    );
    await at().destination.put('gone/db/b', Buffer.from('b'), { ifAbsent: false }, CALM);
    for (let times = 0; times < 2; times += 1) {
      for await (const { key, versionId } of at().destination.listVersions('gone/db/a', CALM)) {
        expect(await at().destination.remove(key, versionId, CALM)).toEqual({ outcome: 'removed' });
        expect(await at().destination.remove(key, versionId, CALM)).toEqual({ outcome: 'removed' });
      }
    }
    expect(await at().destination.get('gone/db/a/manifest.json', null, CALM)).toBeNull();
    expect(await Array.fromAsync(at().destination.listVersions('gone/db/a', CALM))).toEqual([]);
    expect(await keysOf(at().destination, 'gone/')).toEqual(['gone/db/b']);
  });

  test('gives no bytes of an object that was replaced meanwhile', async () => {
    await at().destination.put('changing/db/a', Buffer.from('12345'), { ifAbsent: false }, CALM);
    const head = await at().destination.head('changing/db/a', null, CALM);
    expect(head).not.toBeNull();
    if (head !== null) {
      expect(
        String(await buffer(await at().destination.read(head, { from: 1, bytes: 3 }, CALM))),
      ).toBe('234');
      await at().destination.put('changing/db/a', Buffer.from('67890'), { ifAbsent: false }, CALM);
      // Where versions are kept it is the one that was looked at.
      const late = at().place.what.keepsVersions
        ? null
        : at().destination.read(head, { from: 1, bytes: 3 }, CALM);
      await (late === null
        ? undefined
        : expect(late.then(buffer)).rejects.toMatchObject({ code: 'destination-unavailable' }));
    }
  });

  test('stops reading when it is aborted', async () => {
    const file = await fileOf(at().folder.dir, 8 * MIB);
    await at().destination.putFile('aborted/db/a', file, options(), CALM);
    const head = await at().destination.head('aborted/db/a', null, CALM);
    const stop = new AbortController();
    const reason = new Error('enough');
    let bytes = 0;
    async function read(): Promise<void> {
      const range = { from: 0, bytes: file.bytes };
      const object = head ?? { key: '', versionId: null, etag: '' };
      for await (const piece of await at().destination.read(object, range, stop.signal)) {
        bytes += (piece as Buffer).length;
        stop.abort(reason);
      }
    }
    await expect(read()).rejects.toBe(reason);
    expect(bytes).toBeLessThan(file.bytes);
  });
}
