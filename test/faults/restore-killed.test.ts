import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseFingerprint } from '../support/fingerprint.ts';
import { killIn } from '../support/processes.ts';
import {
  CHANGE_SQL,
  holdName,
  untilNoSwap,
  openRestoreStage,
  startWriter,
  untilClear,
  untilSwapWaits,
  type RestoreStage,
  type Writer,
} from '../support/restore-stage.ts';
import { startContainer } from '../support/test-container.ts';

/** Tests that run side by side, each on a stage of its own. Two of them kept two cores so busy that clearing up took longer. */
const STAGES = 1;

interface Scene {
  readonly stage: RestoreStage;
  readonly writer: Writer;
  /** The backup that is restored. */
  readonly id: string;
  /** What `shop` holds in it, and what it holds now. */
  readonly backedUp: DatabaseFingerprint;
  readonly changed: DatabaseFingerprint;
}

const opened = new AsyncDisposableStack();
const free: Scene[] = [];
const waiting: ((scene: Scene) => void)[] = [];

beforeAll(async () => {
  await Promise.all(
    Array.from({ length: STAGES }, async () => {
      const stage = opened.use(await openRestoreStage());
      const writer = opened.use(await startWriter(stage.server));
      const backup = await stage.json<{ runs: { id: string }[] }>(['backup', 'db', '--pin']);
      const backedUp = await stage.content('shop');
      await stage.server.sql(CHANGE_SQL);
      const changed = await stage.content('shop');
      expect(changed).not.toEqual(backedUp);
      free.push({ stage, writer, id: backup.runs[0]?.id ?? '', backedUp, changed });
    }),
  );
});

afterAll(async () => {
  await opened.disposeAsync();
});

/** Lends a stage that nobody else uses. */
async function onScene(work: (scene: Scene) => Promise<void>): Promise<void> {
  const scene =
    free.pop() ??
    (await new Promise<Scene>((resolve) => {
      waiting.push(resolve);
    }));
  try {
    await work(scene);
  } finally {
    const next = waiting.shift();
    if (next === undefined) {
      free.push(scene);
    } else {
      next(scene);
    }
  }
}

type NextLife = 'a command' | 'the daemon';

/** Begins a command that dies at a step, and sees that it did, and that the database can be used right after. */
async function dieAt(step: string, { stage }: Scene, args: readonly string[]): Promise<void> {
  const marker = join(stage.dir, '.killed-at');
  await rm(marker, { force: true });
  const died = await stage.backupd(args, { killAt: step });
  expect(died, died.stderr).toMatchObject({ exitCode: 137 });
  expect(await readFile(marker, 'utf8')).toBe(step.split(':')[0]);
  expect(await stage.server.sql('select 1', 'shop')).toBe('1');
}

async function beginNextLife(how: NextLife, { stage }: Scene): Promise<void> {
  if (how === 'the daemon') {
    await using _daemon = await startContainer(stage.options);
    await untilClear(stage);
  } else {
    const { exitCode, stderr } = await stage.backupd(['backup', 'db']);
    expect(exitCode, stderr).toBe(0);
    expect(await stage.leftovers()).toEqual([]);
  }
}

/** What `shop` holds, which is wholly the one or the other; `crm` always goes with it. */
async function stateOf(scene: Scene): Promise<'backed up' | 'changed'> {
  const content = await scene.stage.content('shop');
  const isBackedUp = content.schema.length === scene.backedUp.schema.length;
  expect(content).toEqual(isBackedUp ? scene.backedUp : scene.changed);
  return isBackedUp ? 'backed up' : 'changed';
}

async function keptIn({ stage }: Scene): Promise<number> {
  return Number(
    await stage.server.sql(
      `select count(*) from pg_database where datname like '%\\_before\\_%'`,
      'postgres',
    ),
  );
}

async function run(scene: Scene, ...args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await scene.stage.backupd(args);
  expect(exitCode, stderr).toBe(0);
}

/** Sees that no row was lost that the writer was told is committed, and brings the stage back to where every test begins. */
async function reset(scene: Scene): Promise<void> {
  expect(await scene.writer.lost()).toEqual([]);
  if ((await stateOf(scene)) === 'backed up') {
    await run(scene, 'restore', 'db', '--undo');
  }
  if ((await keptIn(scene)) > 0) {
    await run(scene, 'restore', 'db', '--drop-previous', '--yes');
  }
  expect(await stateOf(scene)).toBe('changed');
  expect(await scene.stage.leftovers()).toEqual([]);
}

const RESTORE_STEPS: readonly (readonly [string, NextLife, 'backed up' | 'changed' | 'either'])[] =
  [
    ['restore-locked', 'a command', 'changed'],
    ['restore-journaled', 'the daemon', 'changed'],
    ['beside-created', 'a command', 'changed'],
    ['beside-created:2', 'the daemon', 'changed'],
    ['beside-loaded', 'a command', 'changed'],
    ['beside-loaded:2', 'the daemon', 'changed'],
    ['beside-indexed', 'a command', 'changed'],
    ['beside-built', 'the daemon', 'changed'],
    ['beside-compared', 'a command', 'changed'],
    ['swap-journaled', 'a command', 'changed'],
    ['swap-journaled', 'the daemon', 'changed'],
    ['swap-sent', 'a command', 'either'],
    ['swap-sent', 'the daemon', 'either'],
    ['swapped', 'a command', 'backed up'],
    ['swapped', 'the daemon', 'backed up'],
    ['previous-recorded', 'a command', 'backed up'],
    ['restore-cleared', 'the daemon', 'backed up'],
  ];

test.concurrent.each(RESTORE_STEPS)(
  'killed at %s of a restore, cleared up by %s: the database is as it was %s',
  { timeout: 400_000 },
  async (step, next, expected) => {
    await onScene(async (scene) => {
      await dieAt(step, scene, ['restore', 'db', '--at', scene.id, '--yes']);
      await beginNextLife(next, scene);

      const state = await stateOf(scene);
      expect(expected).toBeOneOf([state, 'either']);
      expect(await keptIn(scene)).toBe(state === 'backed up' ? 2 : 0);

      if (state === 'changed') {
        await run(scene, 'restore', 'db', '--at', scene.id, '--yes');
        expect(await stateOf(scene)).toBe('backed up');
      }
      await reset(scene);
    });
  },
);

const UNDO_STEPS: readonly (readonly [string, NextLife, 'backed up' | 'changed' | 'either'])[] = [
  ['undo-journaled', 'a command', 'backed up'],
  ['swap-sent', 'the daemon', 'either'],
  ['swap-sent', 'a command', 'either'],
  ['undone', 'a command', 'changed'],
  ['undone', 'the daemon', 'changed'],
  ['undo-recorded', 'the daemon', 'changed'],
];

test.concurrent.each(UNDO_STEPS)(
  'killed at %s of an undo, cleared up by %s: the database is as it was %s',
  { timeout: 400_000 },
  async (step, next, expected) => {
    await onScene(async (scene) => {
      await run(scene, 'restore', 'db', '--at', scene.id, '--yes');
      await dieAt(step, scene, ['restore', 'db', '--undo']);
      await beginNextLife(next, scene);

      const state = await stateOf(scene);
      expect(expected).toBeOneOf([state, 'either']);
      expect(await keptIn(scene)).toBe(2);

      // Whatever came of it can be undone in turn, and back.
      await run(scene, 'restore', 'db', '--undo');
      expect(await stateOf(scene)).not.toBe(state);
      await run(scene, 'restore', 'db', '--undo');
      expect(await stateOf(scene)).toBe(state);
      await reset(scene);
    });
  },
);

/** Sees a swap wait in the server for a lock that somebody else holds, and kills who asked for it. */
async function dieInSwap(scene: Scene, args: readonly string[]): Promise<void> {
  const { server, box } = scene.stage;
  const died = scene.stage.backupd(args);
  await untilSwapWaits(server);
  await killIn(box.name, 'node /opt/backupd/src/main.ts restore');
  expect(await died).toMatchObject({ exitCode: 137 });
}

test.concurrent.each([
  ['while the server swaps, which it then may or may not end', 'either'],
  ['while the server waits in the swap, in vain', 'changed'],
] as const)(
  'killed %s: the next life sees what became of it',
  { timeout: 400_000 },
  async (_, expected) => {
    await onScene(async (scene) => {
      const { server } = scene.stage;
      await using hold = await holdName(server, 'shop');
      await dieInSwap(scene, ['restore', 'db', '--at', scene.id, '--yes']);
      if (expected === 'changed') {
        await untilNoSwap(server);
      }
      await hold.release();
      await beginNextLife('the daemon', scene);

      const state = await stateOf(scene);
      expect(expected).toBeOneOf([state, 'either']);
      expect(await keptIn(scene)).toBe(state === 'backed up' ? 2 : 0);
      await reset(scene);
    });
  },
);

test('all the while clients could write', async () => {
  expect(free).toHaveLength(STAGES);
  for (const { writer } of free) {
    expect(await writer.acknowledged()).toBeGreaterThan(50);
  }
});
