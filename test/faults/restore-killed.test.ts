import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseFingerprint } from '../support/fingerprint.ts';
import { holdName, untilNoSwap, untilSwapWaits } from '../support/hold.ts';
import { having } from '../support/matchers.ts';
import { doesRun, killIn, PROGRAM } from '../support/processes.ts';
import { openRestoreStage, untilClear, type RestoreStage } from '../support/restore-stage.ts';
import { docker } from '../support/run-process.ts';
import { startContainer } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';
import { startWriter, type Writer } from '../support/writer.ts';

/** Tests that run side by side, each on a stage of its own: half of the time they wait for something. */
const STAGES = 2;
/** With the wait for a stage that is free. */
const TIMEOUT = { timeout: 600_000 };

interface Scene {
  readonly stage: RestoreStage;
  readonly writer: Writer;
  /** The backup that is restored. */
  readonly id: string;
  /** What `shop` holds in it, and what it holds whenever a test begins. */
  readonly backedUp: DatabaseFingerprint;
  readonly changed: DatabaseFingerprint;
}

type State = 'backed up' | 'changed';
type NextLife = 'a command' | 'the daemon';

const opened = new AsyncDisposableStack();
const free: Scene[] = [];
const waiting: ((scene: Scene) => void)[] = [];

beforeAll(async () => {
  free.push(...(await Promise.all(Array.from({ length: STAGES }, openScene))));
});

afterAll(async () => {
  await opened.disposeAsync();
});

async function openScene(): Promise<Scene> {
  const stage = opened.use(await openRestoreStage());
  const writer = opened.use(await startWriter(stage.server));
  const backup = await stage.json<{ runs: { id: string }[] }>(['backup', 'db', '--pin']);
  const backedUp = await stage.content('shop');
  await stage.server.sql(`
    update orders set who = 'changed' where id % 10 = 0;
    create table added (id int); insert into added values (1);`);
  const changed = await stage.content('shop');
  expect(changed).not.toEqual(backedUp);
  return { stage, writer, id: backup.runs[0]?.id ?? '', backedUp, changed };
}

/** Lends a stage that nobody else uses, as it is when every test begins. */
async function onScene(work: (scene: Scene) => Promise<void>): Promise<void> {
  const scene =
    free.pop() ??
    (await new Promise<Scene>((resolve) => {
      waiting.push(resolve);
    }));
  try {
    await reset(scene);
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

/** By what a user has for it. */
async function reset(scene: Scene): Promise<void> {
  const { stage } = scene;
  if ((await stage.server.sql(`select to_regclass('added') is null`)) === 't') {
    await stage.json(['restore', 'db', '--undo']);
    expect(await readState(scene)).toBe('changed');
  }
  if ((await countKept(scene)) > 0) {
    await stage.json(['restore', 'db', '--drop-previous', '--yes']);
  }
}

/** What `shop` holds, which is wholly the one or wholly the other. */
async function readState({ stage, backedUp, changed }: Scene): Promise<State> {
  const content = await stage.content('shop');
  const state = content.schema.length === backedUp.schema.length ? 'backed up' : 'changed';
  expect(content).toEqual(state === 'backed up' ? backedUp : changed);
  return state;
}

async function countKept({ stage }: Scene): Promise<number> {
  return Number(
    await stage.server.sql(
      `select count(*) from pg_database where datname like '%\\_before\\_%'`,
      'postgres',
    ),
  );
}

/** Runs a command that dies at a step, and sees that it did, and that the database can be used right after. */
async function dieAt(step: string, { stage }: Scene, args: readonly string[]): Promise<void> {
  const marker = join(stage.dir, '.killed-at');
  await rm(marker, { force: true });
  const died = await stage.backupd(args, { killAt: step });
  expect(died, died.stderr).toMatchObject({ exitCode: 137 });
  expect(await readFile(marker, 'utf8')).toBe(step.split(':')[0]);
  expect(await stage.server.sql('select 1', 'shop')).toBe('1');
}

/** Starts backupd again, in one way or another, and sees that it clears up. */
async function liveOn(how: NextLife, { stage }: Scene): Promise<void> {
  if (how === 'a command') {
    await stage.json(['backup', 'db']);
    expect(await stage.leftovers()).toEqual([]);
    return;
  }
  // In the container where it died: its lock is known at once to be a dead one's.
  await docker('exec', '--detach', stage.box.name, 'backupd', 'daemon');
  await untilClear(stage);
  await killIn(stage.box.name, `node *${PROGRAM} daemon`, 'TERM');
  await waitFor('end of the daemon', async () => !(await doesRun(stage.box.name, PROGRAM)));
}

/** Which of both states came of it; no row is lost that somebody was told is committed. */
async function expectWhole(expected: State | 'either', scene: Scene): Promise<State> {
  const state = await readState(scene);
  expect([state, 'either']).toContain(expected);
  expect(await scene.writer.lost()).toEqual([]);
  return state;
}

/** As {@link expectWhole}, of a restore: what was replaced is kept, of both databases or of none. */
async function expectRestoredOrNot(expected: State | 'either', scene: Scene): Promise<void> {
  const state = await expectWhole(expected, scene);
  expect(await countKept(scene)).toBe(state === 'backed up' ? 2 : 0);
}

/** Whoever began it died and told nobody: `status` does. */
async function expectTold(scene: Scene): Promise<void> {
  const { sources } = await scene.stage.json<{ readonly sources: readonly unknown[] }>(['status']);
  const outcome = (await countKept(scene)) > 0 ? 'success' : 'interrupted';
  expect(sources).toEqual([having({ lastRestore: having({ outcome }) })]);
}

test.concurrent.each<readonly [string, NextLife, State | 'either']>([
  ['restore-locked', 'a command', 'changed'],
  ['restore-journaled', 'the daemon', 'changed'],
  ['beside-created', 'a command', 'changed'],
  ['beside-created:2', 'the daemon', 'changed'],
  ['beside-loaded', 'a command', 'changed'],
  ['beside-loaded:2', 'the daemon', 'changed'],
  ['beside-indexed', 'the daemon', 'changed'],
  ['beside-built', 'a command', 'changed'],
  ['beside-compared', 'the daemon', 'changed'],
  ['swap-journaled', 'a command', 'changed'],
  ['swap-journaled', 'the daemon', 'changed'],
  ['swap-sent', 'a command', 'either'],
  ['swap-sent', 'the daemon', 'either'],
  ['swapped', 'a command', 'backed up'],
  ['swapped', 'the daemon', 'backed up'],
  ['previous-recorded', 'the daemon', 'backed up'],
  ['restore-cleared', 'a command', 'backed up'],
])(
  'killed at %s of a restore, cleared up by %s: the database is as it was %s',
  TIMEOUT,
  async (step, next, expected) => {
    await onScene(async (scene) => {
      await dieAt(step, scene, ['restore', 'db', '--at', scene.id, '--yes']);
      await liveOn(next, scene);
      await expectRestoredOrNot(expected, scene);
      // Before the first and after the last of them there is no journal, and so nobody who could tell of it.
      if (step !== 'restore-locked' && step !== 'restore-cleared') {
        await expectTold(scene);
      }
    });
  },
);

test.concurrent.each<readonly [string, NextLife, State | 'either']>([
  ['undo-journaled', 'a command', 'backed up'],
  ['swap-sent', 'the daemon', 'either'],
  ['undone', 'the daemon', 'changed'],
  ['undo-recorded', 'a command', 'changed'],
])(
  'killed at %s of an undo, cleared up by %s: the database is as it was %s',
  TIMEOUT,
  async (step, next, expected) => {
    await onScene(async (scene) => {
      const { stage } = scene;
      await stage.json(['restore', 'db', '--at', scene.id]);
      await dieAt(step, scene, ['restore', 'db', '--undo']);
      await liveOn(next, scene);
      const state = await expectWhole(expected, scene);
      expect(await countKept(scene)).toBe(2);
      // Whatever came of it can be undone in turn; the other state is, before the next test.
      if (state === 'changed') {
        await stage.json(['restore', 'db', '--undo']);
        expect(await readState(scene)).toBe('backed up');
      }
    });
  },
);

test.concurrent.each<readonly [string, State | 'either']>([
  ['while the server swaps, which it then may or may not end', 'either'],
  ['while the server waits in the swap, in vain', 'changed'],
])('killed %s: the next life sees what became of it', TIMEOUT, async (_, expected) => {
  await onScene(async (scene) => {
    const { stage, id } = scene;
    await using hold = await holdName(stage.server, 'shop');
    const died = stage.backupd(['restore', 'db', '--at', id, '--yes']);
    await untilSwapWaits(stage.server);
    await killIn(stage.box.name, `node *${PROGRAM} restore`);
    expect(await died).toMatchObject({ exitCode: 137 });
    if (expected === 'changed') {
      await untilNoSwap(stage.server);
    }
    await hold.release();
    await liveOn('the daemon', scene);
    await expectRestoredOrNot(expected, scene);
  });
});

test.concurrent(
  'killed with its whole container in the midst of the swap, and started again',
  TIMEOUT,
  async () => {
    await onScene(async (scene) => {
      const { stage, id } = scene;
      await using daemon = await startContainer(stage.options);
      await waitFor('daemon', async () => (await daemon.logs()).includes('"daemon started"'));
      await using hold = await holdName(stage.server, 'shop');
      const died = daemon.exec(['backupd', 'restore', 'db', '--at', id, '--yes']);
      await untilSwapWaits(stage.server);
      await docker('kill', daemon.name);
      expect(await died).toMatchObject({ exitCode: 137 });
      await hold.release();
      await docker('start', daemon.name);
      await untilClear(stage);
      await expectRestoredOrNot('either', scene);
    });
  },
);

test('all the while clients could write', async () => {
  expect(free).toHaveLength(STAGES);
  for (const { writer } of free) {
    expect(await writer.acknowledged()).toBeGreaterThan(50);
  }
});
