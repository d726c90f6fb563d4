import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  createFile,
  ensureFolder,
  readJson,
  removeFile,
  writeFileAtomically,
  writeJson,
} from '../../../src/store/atomic-file.ts';
import { temporaryFolder } from '../../support/storage.ts';

const umask = process.umask();

afterEach(() => {
  process.umask(umask);
});

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

describe('writeFileAtomically', () => {
  test('replaces what was there and leaves nothing beside', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'state.json');
    await writeFileAtomically(path, 'one, and rather long');
    await writeFileAtomically(path, 'two');
    expect(await readFile(path, 'utf8')).toBe('two');
    expect(await readdir(folder.dir)).toEqual(['state.json']);
  });

  test('leaves nothing beside where it fails', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'state.json');
    await mkdir(join(path, 'in-the-way'), { recursive: true });
    await expect(writeFileAtomically(path, 'text')).rejects.toMatchObject({
      code: 'storage-unavailable',
    });
    expect(await readdir(folder.dir)).toEqual(['state.json']);
  });

  test('names the path where the folder is missing', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'missing', 'state.json');
    await expect(writeFileAtomically(path, 'text')).rejects.toThrow(path);
  });
});

describe('modes', () => {
  test.each([0o000, 0o022, 0o077, 0o277])('do not depend on the umask %o', async (mask) => {
    await using folder = await temporaryFolder();
    process.umask(mask);
    expect(await ensureFolder(join(folder.dir, 'db'))).toBe(true);
    await writeJson(join(folder.dir, 'db', 'state.json'), {});
    await createFile(join(folder.dir, 'db', 'other'), '');
    expect(await modeOf(join(folder.dir, 'db'))).toBe('700');
    expect(await modeOf(join(folder.dir, 'db', 'state.json'))).toBe('600');
    expect(await modeOf(join(folder.dir, 'db', 'other'))).toBe('600');
  });

  test('of a folder that is there stay', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.dir, 'db'), { mode: 0o750 });
    expect(await ensureFolder(join(folder.dir, 'db'))).toBe(false);
    expect(await modeOf(join(folder.dir, 'db'))).toBe('750');
  });
});

test('createFile refuses a name that is taken', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.dir, 'once');
  await createFile(path, 'first');
  await expect(createFile(path, 'second')).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await readFile(path, 'utf8')).toBe('first');
});

test('readJson tells absent from damaged', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.dir, 'state.json');
  expect(await readJson(path)).toEqual({ state: 'absent' });
  await writeJson(path, { a: [1, null] });
  expect(await readJson(path)).toEqual({ state: 'present', value: { a: [1, null] } });
  await writeFile(path, '{"a": [1');
  expect(await readJson(path)).toMatchObject({ state: 'damaged' });
  await expect(readJson(join(path, 'beneath'))).rejects.toMatchObject({
    code: 'storage-unavailable',
  });
});

test('removeFile is content with a file that is not there', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.dir, 'state.json');
  await writeJson(path, {});
  await removeFile(path);
  await removeFile(path);
  expect(await readdir(folder.dir)).toEqual([]);
});
