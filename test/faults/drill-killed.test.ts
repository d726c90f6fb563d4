import { afterAll, beforeAll, expect, test } from 'vitest';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeScratchesOf, scratchesOf } from '../support/drills.ts';
import { openRestoreStage, type RestoreStage } from '../support/restore-stage.ts';
import { docker } from '../support/run-process.ts';
import { startContainer, testVolume } from '../support/test-container.ts';
import { helpersOf, inVolume } from '../support/volume.ts';
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
  removeScratchesOf(owner);
  await stage[Symbol.asyncDispose]();
});

/** How many clients ever were at the target, and what Docker was asked to do with it while that lasted. */
interface Traces {
  readonly sessions: number;
  readonly at: number;
}

async function look(): Promise<Traces> {
  const sessions = await stage.server.sql('select sum(sessions) from pg_stat_database');
  return { sessions: Number(sessions), at: Date.now() };
}

/** Nobody was there but who looked, and nothing was run in it, copied from it or changed on it. */
async function expectNoTraces(before: Traces): Promise<void> {
  const range = ['--since', `${before.at / 1000}`, '--until', `${Date.now() / 1000}`];
  expect(await docker('events', ...range, '--filter', `container=${stage.server.name}`)).toBe('');
  expect((await look()).sessions).toBe(before.sessions + 1);
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
    const before = await look();
    await dieAt('scratch-created');
    expect(scratchesOf(owner)).toHaveLength(2);
    const [report] = await stage.json<{ ok: boolean }[]>(['drill', 'db']);
    expect(report).toMatchObject({ ok: true, integrity: 1, skipped: null });
    expect(scratchesOf(owner)).toEqual([]);
    await expectNoTraces(before);
  },
);

test.each(['scratch-started', 'scratch-loaded', 'drill-compared'])(
  'killed at %s, the next start of the daemon clears up',
  TIMEOUT,
  async (step) => {
    const before = await look();
    await dieAt(step);
    expect(scratchesOf(owner)).toHaveLength(2);
    await expectNoTraces(before);
    await using _daemon = await startContainer(stage.options);
    await waitFor('end of what was left', () => scratchesOf(owner).length === 0, 120_000);
    expect(await stage.leftovers()).toEqual([]);
  },
);

test(
  'killed while a volume is loaded, the next start of the daemon clears up',
  TIMEOUT,
  async () => {
    await using files = await testVolume();
    await inVolume(files.name, 'echo hello >greeting');
    const env = { BACKUPD_SOURCES: `files=volume://${files.name}` };
    const backup = await stage.backupd(['backup', 'files'], { env });
    expect(backup.exitCode, backup.stderr).toBe(0);
    const killed = await stage.backupd(['drill', 'files'], { env, killAt: 'beside-loaded' });
    expect(killed.exitCode).toBe(137);
    const ofFiles = owner.replace(/db$/, 'files');
    const [scratch = 'none'] = scratchesOf(ofFiles);
    expect(await helpersOf(scratch)).toHaveLength(1);
    await using _daemon = await startContainer(stage.options);
    await waitFor('end of what was left', () => scratchesOf(ofFiles).length === 0, 120_000);
    expect(await helpersOf(scratch)).toEqual([]);
  },
);
