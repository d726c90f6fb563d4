import { afterAll, beforeAll, expect, test } from 'vitest';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchesOf } from '../support/drills.ts';
import { openRestoreStage, type RestoreStage } from '../support/restore-stage.ts';
import { startContainer } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';

/** With a server that is made new, on a machine with much else to do. */
const TIMEOUT = { timeout: 600_000 };

let stage: RestoreStage;
let owner: string;

beforeAll(async () => {
  stage = await openRestoreStage();
  await stage.json(['backup', 'db']);
  owner = `${(await readFile(join(stage.dir, '.backupd', 'identity'), 'utf8')).trim()}/db`;
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** What the target itself says of who was there and what was done. */
async function traces(): Promise<string> {
  return stage.server.sql(`
    select sum(xact_commit + xact_rollback), sum(tup_inserted + tup_updated + tup_deleted), count(*)
    from pg_stat_database where datname <> current_database()`);
}

async function dieAt(step: string): Promise<void> {
  const marker = join(stage.dir, '.killed-at');
  await rm(marker, { force: true });
  const { exitCode } = await stage.backupd(['drill', 'db'], { killAt: step });
  expect({ exitCode, at: await readFile(marker, 'utf8') }).toEqual({ exitCode: 137, at: step });
}

test(
  'killed where it made the container, the next drill clears up and passes',
  TIMEOUT,
  async () => {
    const before = await traces();
    await dieAt('scratch-created');
    expect(scratchesOf(owner)).toHaveLength(2);
    const [report] = await stage.json<{ ok: boolean }[]>(['drill', 'db']);
    expect(report).toMatchObject({ ok: true, integrity: 1, skipped: null });
    expect(scratchesOf(owner)).toEqual([]);
    expect(await traces()).toBe(before);
  },
);

test.each(['scratch-started', 'scratch-loaded', 'drill-compared'])(
  'killed at %s, the next start of the daemon clears up',
  TIMEOUT,
  async (step) => {
    const before = await traces();
    await dieAt(step);
    expect(scratchesOf(owner)).toHaveLength(2);
    expect(await traces()).toBe(before);
    await using _daemon = await startContainer(stage.options);
    await waitFor('end of what was left', () => scratchesOf(owner).length === 0, 120_000);
    expect(await stage.leftovers()).toEqual([]);
  },
);
