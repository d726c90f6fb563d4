import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Destination, DestinationMemory } from '../../src/core/destination.ts';
import { openDestination } from '../../src/destinations/open.ts';
import { otherDisk, type OtherDisk } from '../support/other-disk.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/storage.ts';
import { CALM, download, fileOf, keysOf, MIB, options, testMemory } from '../support/uploads.ts';

let disk: OtherDisk;
let folder: TemporaryFolder;
let memory: DestinationMemory;

beforeEach(async () => {
  disk = await otherDisk();
  folder = await temporaryFolder();
  memory = testMemory();
});
afterEach(async () => {
  await disk[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function open(
  remembered: DestinationMemory = memory,
  backupsDir = tmpdir(),
): Promise<Destination> {
  return openDestination(disk.settings(), { backupsDir, memory: remembered });
}

async function put(destination: Destination, key: string, text: string): Promise<void> {
  await destination.put(key, Buffer.from(text), { ifAbsent: false }, CALM);
}

test('a disk that is not mounted is not taken for an empty one', async () => {
  await put(await open(), 'demo/a', 'x');
  expect(await readFile(join(disk.path, '.backupd', 'marker'), 'utf8')).toMatch(
    /^destination of backupd [0-9a-f]{16}\n$/,
  );
  // What is left where it was mounted.
  await rm(join(disk.path, '.backupd'), { recursive: true });
  await rm(join(disk.path, 'demo'), { recursive: true });
  const unmounted = {
    code: 'destination-unavailable',
    message: `destination "nas": ${disk.path} is not mounted: it has not the mark that backupd left in it`,
  };
  const destination = await open();
  await expect(put(destination, 'demo/b', 'x')).rejects.toMatchObject(unmounted);
  await expect(keysOf(destination, '')).rejects.toMatchObject(unmounted);
  await expect(destination.head('demo/a', null, CALM)).rejects.toMatchObject(unmounted);
  await expect(destination.inspect(CALM)).rejects.toMatchObject(unmounted);
  expect(await readdir(disk.path)).toEqual([]);
});

test('a directory that is not there is not made', async () => {
  await rm(disk.path, { recursive: true });
  await expect(put(await open(), 'demo/a', 'x')).rejects.toMatchObject({
    code: 'destination-unavailable',
    message: expect.stringContaining('there is no such directory') as string,
  });
});

test('one that another host marked is used as it is, and remembered', async () => {
  await put(await open(testMemory()), 'demo/a', 'x');
  const destination = await open();
  expect(await keysOf(destination, '')).toEqual(['demo/a']);
  expect(await memory.wasUsed()).toBe(false);
  await put(destination, 'demo/b', 'y');
  expect(await memory.wasUsed()).toBe(true);
});

test('the disk of /backups is not another place, and can be read', async () => {
  await put(await open(), 'demo/a', 'x');
  const same = await open(memory, disk.path);
  await expect(put(same, 'demo/b', 'x')).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('is not another place') as string,
  });
  expect(await keysOf(same, '')).toEqual(['demo/a']);
});

test('what is changed behind our back is not taken for what was put', async () => {
  const destination = await open();
  const file = await fileOf(folder.dir, 1000);
  await destination.putFile('demo/a', file, options(), CALM);
  await appendFile(join(disk.path, 'demo', 'a'), 'x');
  await truncate(join(disk.path, 'demo', 'a'), 1000);
  expect(await destination.head('demo/a', null, CALM)).toMatchObject({ bytes: 1000, sha256: null });
  expect((await destination.putFile('demo/a', file, options(), CALM)).sentBytes).toBe(1000);
  expect((await download(destination, 'demo/a', MIB)).equals(file.content)).toBe(true);
});

test('a small object that lost a bit is not taken for what was put', async () => {
  const destination = await open();
  await put(destination, 'demo/a', 'a record');
  const path = join(disk.path, 'demo', 'a');
  const { atime, mtime } = await stat(path);
  await writeFile(path, 'b record');
  await utimes(path, atime, mtime);
  await expect(destination.get('demo/a', null, CALM)).rejects.toMatchObject({
    code: 'archive-corrupt',
  });
});

test('goes on only with what is the same as in the file', async () => {
  const destination = await open();
  const file = await fileOf(folder.dir, 20 * MIB);
  await put(destination, 'demo/first', 'x');
  const partial = join(disk.path, '.backupd', 'partial', 'demo', 'a', file.sha256);
  await mkdir(dirname(partial), { recursive: true });
  // As after a power failure: some of it is right, some never reached the disk, and some is too much.
  await writeFile(
    partial,
    Buffer.concat([file.content.subarray(0, 9 * MIB), Buffer.alloc(20 * MIB)]),
  );
  const { sentBytes } = await destination.putFile('demo/a', file, options(), CALM);
  expect(sentBytes).toBe(12 * MIB);
  expect((await download(destination, 'demo/a', MIB)).equals(file.content)).toBe(true);
  expect((await readdir(join(disk.path, '.backupd'))).toSorted()).toEqual(['marker', 'sums']);
});

test('goes in small pieces where it has a rate', async () => {
  const settings = disk.settings({ rateBytes: 1_000_000 });
  const destination = await openDestination(settings, { backupsDir: tmpdir(), memory });
  const file = await fileOf(folder.dir, 200_000);
  const steps: number[] = [];
  const how = options(undefined, (done) => steps.push(done));
  await destination.putFile('demo/a', file, how, CALM);
  expect([...new Set(steps)]).toEqual([50_000, 100_000, 150_000, 200_000]);
  expect((await download(destination, 'demo/a', MIB)).equals(file.content)).toBe(true);
});

test('leaves no folders behind, and takes none away that are used', async () => {
  const destination = await open();
  await put(destination, 'demo/db/one/manifest.json', 'x');
  await put(destination, 'demo/db/two/manifest.json', 'x');
  await destination.remove('demo/db/one/manifest.json', null, CALM);
  expect(await readdir(join(disk.path, 'demo', 'db'))).toEqual(['two']);
  await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      await put(destination, `demo/race/${index}`, 'x');
      await destination.remove(`demo/race/${index}`, null, CALM);
    }),
  );
  expect(await keysOf(destination, 'demo/')).toEqual(['demo/db/two/manifest.json']);
  await destination.remove('demo/db/two/manifest.json', null, CALM);
  expect((await readdir(disk.path)).toSorted()).toEqual(['.backupd']);
});

test("what lies about on the disk is in nobody's way", async () => {
  await put(await open(), 'demo/a', 'x');
  await mkdir(join(disk.path, 'lost+found'), { mode: 0 });
  await mkdir(join(disk.path, '.Trash'));
  expect(await keysOf(await open(), '')).toEqual(['demo/a']);
});
