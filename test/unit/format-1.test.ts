import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProcess, type ProcessResult } from '../support/run-process.ts';
import { temporaryFolder } from '../support/storage.ts';

/** Written by the first version of this format; see the README there. */
const GOLDEN = join(import.meta.dirname, '../fixtures/format-1/backups');
const MAIN = join(import.meta.dirname, '../../src/main.ts');
const ID = '20261125T150511Z-full-2ef0';

const opened = new AsyncDisposableStack();
let dir: string;

beforeAll(async () => {
  ({ dir } = opened.use(await temporaryFolder()));
  await cp(GOLDEN, dir, { recursive: true });
});

afterAll(async () => {
  await opened.disposeAsync();
});

/** The program itself, without Docker. */
async function backupd(...args: readonly string[]): Promise<ProcessResult> {
  return runProcess([process.execPath, MAIN, ...args], {
    env: { BACKUPD_DIR: dir, DOCKER_HOST: 'unix:///nowhere/docker.sock' },
  });
}

async function json(...args: readonly string[]): Promise<unknown> {
  const { exitCode, stdout, stderr } = await backupd(...args, '--json');
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout);
}

/** Every file with its content. */
async function readTree(folder: string): Promise<Readonly<Record<string, string>>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(
      paths.map(
        async (path) => [path.slice(folder.length), await readFile(path, 'base64')] as const,
      ),
    ),
  );
}

test('is listed', async () => {
  expect(await json('list')).toEqual([
    expect.objectContaining({
      id: ID,
      source: 'db',
      engine: 'postgres',
      kind: 'full',
      startedAt: '2026-11-25T15:05:11.854Z',
      finishedAt: '2026-11-25T15:05:21.802Z',
      storedBytes: 2206,
      dumpBytes: 4852,
      databases: ['Crm', 'postgres', 'shop'],
      encryption: { scheme: 'none', keyIds: [] },
      verifiedAt: '2026-11-25T15:05:24.041Z',
      pins: [expect.anything()],
      warnings: [],
    }),
  ]);
});

test('is shown as its manifest and receipts say', async () => {
  const manifest: unknown = JSON.parse(
    await readFile(join(GOLDEN, 'db', ID, 'manifest.json'), 'utf8'),
  );
  expect(await json('show', ID)).toEqual({
    ...(manifest as object),
    receipts: [
      { type: 'pinned', at: '2026-11-25T15:05:21.809Z' },
      { type: 'verified', at: '2026-11-25T15:05:24.041Z', depth: 'content' },
    ],
  });
});

test('its files are read', async () => {
  const { exitCode, stdout } = await backupd('cat', ID, 'globals.sql.zst');
  expect(exitCode).toBe(0);
  expect(stdout).toContain('CREATE ROLE clerk;');
  expect(stdout).toMatch(/-- backupd: complete\n$/);
});

test('its state is known: runs, namespace, what a restore kept', async () => {
  const { stdout } = await backupd('status', '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    sources: [
      {
        source: 'db',
        engine: 'postgres',
        lastSuccessAt: '2026-11-25T15:05:21.802Z',
        sizeBytes: 2206,
        lastAttempt: {
          at: '2026-11-25T15:05:26.588Z',
          outcome: 'failed',
          code: 'target-unavailable',
        },
        previous: ['shop_before_20261125t150545z'],
      },
    ],
  });
});

test('it is verified, and nothing is changed but that this is written down', async () => {
  expect(await json('verify', ID)).toEqual([
    { id: ID, source: 'db', ok: true, depth: 'content', checkedBytes: 2206, error: null },
  ]);
  const {
    [`/db/${ID}/receipts/0003-verified.json`]: receipt,
    // What later processes need not read again: none of the format, and there or not as the clock would have it.
    '/.backupd/catalog/db.jsonl': _remembered,
    ...others
  } = await readTree(dir);
  expect(receipt).toBeDefined();
  expect(others).toEqual(await readTree(GOLDEN));
});
