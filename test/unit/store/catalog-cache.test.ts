import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Manifest } from '../../../src/core/manifest.ts';
import { openCatalog, type Catalog } from '../../../src/store/catalog.ts';
import {
  backupId,
  commitBackup,
  emptyCatalog,
  type CatalogFixture,
} from '../../support/storage.ts';

const AT = '2026-01-02T00:00:00.000Z';

let fixture: CatalogFixture;
let cache: string;

/** Two backups, made a while ago, that a process has listed. */
beforeEach(async () => {
  fixture = await emptyCatalog();
  cache = join(fixture.dir, '.backupd', 'catalog', 'db.jsonl');
  await mkdir(join(fixture.dir, '.backupd'));
  for (const number of [1, 2]) {
    await commitBackup(fixture.catalog, { id: backupId(number) });
  }
  await fixture.catalog.addReceipt(await fixture.catalog.find(backupId(1)), {
    type: 'pinned',
    at: AT,
  });
  await settle();
  await fixture.other().entries('db');
});
afterEach(async () => {
  await fixture[Symbol.asyncDispose]();
});

function folder(number: number): string {
  return join(fixture.dir, 'db', backupId(number));
}

/** What was changed just now may change again without its time telling; so it is not remembered. */
async function settle(): Promise<void> {
  const before = new Date(Date.now() - 60_000);
  await utimes(join(folder(1), 'receipts'), before, before);
  await utimes(folder(1), before, before);
  await utimes(folder(2), before, before);
}

/** The tools of the backups, newest first, and how many receipts each has. */
async function seenBy(catalog: Catalog): Promise<readonly (readonly [string, number])[]> {
  const entries = await catalog.entries('db');
  return entries.map(({ manifest, receipts }) => [manifest.toolVersion, receipts.length] as const);
}

const TOOL = 'pg_dump (PostgreSQL) 17.6';

/** Makes what is remembered tell itself apart from what lies in the backups. */
async function mark(): Promise<void> {
  const text = await readFile(cache, 'utf8');
  await writeFile(cache, text.replaceAll(TOOL, 'remembered'));
}

/** What is remembered, a row for each backup. */
async function readRows(): Promise<readonly (readonly [Partial<Manifest>, ...unknown[]])[]> {
  const lines = (await readFile(cache, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.flatMap((line) => (JSON.parse(line) as { readonly rows: [] }).rows);
}

test('what a process read the next one takes, and does not read again', async () => {
  expect(await seenBy(fixture.other())).toEqual([
    [TOOL, 0],
    [TOOL, 1],
  ]);
  await mark();
  expect(await seenBy(fixture.other())).toEqual([
    ['remembered', 0],
    ['remembered', 1],
  ]);
  // Nothing was added to it.
  expect(await readRows()).toHaveLength(2);
});

test.each<[string, () => Promise<void>, readonly (readonly [string, number])[]]>([
  [
    'a manifest that was overwritten in its place',
    async () => {
      const path = join(folder(2), 'manifest.json');
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace(TOOL, TOOL.toUpperCase()));
    },
    [
      [TOOL.toUpperCase(), 0],
      ['remembered', 1],
    ],
  ],
  [
    'a first receipt',
    async () => {
      const other = fixture.other();
      await other.addReceipt(await other.find(backupId(2)), { type: 'pinned', at: AT });
    },
    [
      [TOOL, 1],
      ['remembered', 1],
    ],
  ],
  [
    'one more receipt',
    async () => {
      const other = fixture.other();
      await other.addReceipt(await other.find(backupId(1)), { type: 'unpinned', at: AT });
    },
    [
      ['remembered', 0],
      [TOOL, 2],
    ],
  ],
  [
    'a backup that went',
    async () => {
      await fixture.catalog.remove({ source: 'db', id: backupId(2) });
    },
    [['remembered', 1]],
  ],
])('%s is seen', async (_name, change, expected) => {
  await mark();
  await change();
  expect(await seenBy(fixture.other())).toEqual(expected);
});

test('damage is found whatever is remembered', async () => {
  await writeFile(join(folder(2), 'manifest.json'), '{');
  const other = fixture.other();
  expect(await other.entries('db')).toHaveLength(1);
  expect(await other.unreadable('db')).toHaveLength(1);
});

test('what backups have in common is remembered once, what one of them lacks not for it', async () => {
  expect((await readRows()).map(([fields]) => Object.keys(fields).includes('engine'))).toEqual([
    true,
    false,
  ]);
  const hooks: Manifest['hooks'] = [{ when: 'before', exitCode: 0, output: '', durationMs: 1 }];
  for (const number of [3, 4, 5]) {
    await commitBackup(fixture.catalog, { id: backupId(number), hooks });
  }
  await removeHooks(1, 2, 5);
  const before = new Date(Date.now() - 60_000);
  await Promise.all([1, 2, 3, 4, 5].map((number) => utimes(folder(number), before, before)));
  await fixture.other().entries('db');
  await mark();
  const entries = await fixture.other().entries('db');
  expect(
    entries.map(({ manifest }) => [manifest.id, manifest.toolVersion, manifest.hooks]),
  ).toEqual([
    [backupId(5), 'remembered', undefined],
    [backupId(4), 'remembered', hooks],
    [backupId(3), 'remembered', hooks],
    [backupId(2), 'remembered', undefined],
    [backupId(1), 'remembered', undefined],
  ]);
});

async function removeHooks(...numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    const path = join(folder(number), 'manifest.json');
    const { hooks: _hooks, ...manifest } = JSON.parse(await readFile(path, 'utf8')) as Manifest;
    await writeFile(path, JSON.stringify(manifest));
  }
}

test.each(['{"format":2,"rows":[', 'null', '{"format":2,"rows":[null]}', '{"format":1}'])(
  'a line that is none costs no other: %s',
  async (line) => {
    await mark();
    await writeFile(cache, `${await readFile(cache, 'utf8')}${line}`);
    expect(await seenBy(fixture.other())).toEqual([
      ['remembered', 0],
      ['remembered', 1],
    ]);
  },
);

test('of another namespace nothing is taken', async () => {
  const other = openCatalog({ dir: fixture.dir, namespace: 'other' });
  expect(await other.entries('db')).toEqual([]);
  expect(await other.unreadable('db')).toHaveLength(2);
});

test('where nothing can be remembered all is read', async () => {
  const place = join(fixture.dir, '.backupd', 'catalog');
  await rm(place, { recursive: true });
  await writeFile(place, 'in the way');
  expect(await seenBy(fixture.other())).toEqual([
    [TOOL, 0],
    [TOOL, 1],
  ]);
  expect(await readFile(place, 'utf8')).toBe('in the way');
});

test('a file that has grown long is written anew, with what there is', async () => {
  const text = await readFile(cache, 'utf8');
  await writeFile(cache, text.repeat(20));
  const other = fixture.other();
  await other.addReceipt(await other.find(backupId(2)), { type: 'pinned', at: AT });
  const before = new Date(Date.now() - 60_000);
  await utimes(join(folder(2), 'receipts'), before, before);
  await settle();
  expect(await seenBy(fixture.other())).toEqual([
    [TOOL, 1],
    [TOOL, 1],
  ]);
  expect(await readRows()).toHaveLength(2);
});
