import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCommandBox, type CommandBox } from '../support/command-box.ts';
import {
  fingerprintMongodb,
  listEverything,
  startMongodb,
  waitUntilReady,
  type Mongodb,
  type MongodbFingerprint,
} from '../support/mongodb.ts';
import { docker } from '../support/run-process.ts';
import { waitFor } from '../support/wait-for.ts';

/** Two databases; `fs.files` is copied, since this server does not rename it; a writer adds to `ticks` all the while. */
const DATA = `
  db.customers.insertMany([{ _id: 1, name: 'Ann' }, { _id: 2, name: 'Bob' }]);
  db.customers.createIndex({ name: 1 }, { unique: true });
  db.getCollection('fs.files').insertMany([{ _id: 1 }, { _id: 2 }]);
  db.getCollection('fs.files').createIndex({ n: 1 });
  db.ticks.insertOne({ _id: 0 });
  m.getDB('crm').people.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }]);
`;

const CHANGES = `
  db.customers.updateOne({ _id: 1 }, { $set: { name: 'changed' } });
  db.customers.dropIndex('name_1');
  db.getCollection('fs.files').insertOne({ _id: 3 });
  db.added.insertOne({ _id: 1 });
  m.getDB('crm').people.insertOne({ _id: 4 });
`;

const WRITTEN = ['ticks'];

interface Scene extends CommandBox {
  readonly server: Mongodb;
  readonly id: string;
  readonly backedUp: MongodbFingerprint;
  readonly changed: MongodbFingerprint;
}

async function openScene(): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startMongodb());
  await server.js(DATA);
  const box = stack.use(await openCommandBox({ BACKUPD_SOURCES: `db=mongodb://${server.name}` }));
  const backup = await box.json<{ readonly runs: readonly { readonly id: string }[] }>([
    'backup',
    'db',
    '--pin',
  ]);
  const backedUp = await fingerprintMongodb(server, { but: WRITTEN });
  await server.js(CHANGES);
  const changed = await fingerprintMongodb(server, { but: WRITTEN });
  expect(changed).not.toEqual(backedUp);
  await startWriter(server);
  const kept = stack.move();
  return {
    ...box,
    server,
    id: backup.runs[0]?.id ?? '',
    backedUp,
    changed,
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

/** Inserts numbers for as long as the server lives, and begins each only when the one before was taken. */
async function startWriter(server: Mongodb): Promise<void> {
  const loop = `
    const shop = connect('mongodb://' + encodeURIComponent(process.env.WHO) + ':' + encodeURIComponent(process.env.WHAT) + '@127.0.0.1/admin').getMongo().getDB('shop');
    let n = Date.now();
    while (true) { shop.ticks.insertOne({ _id: n }); n += 1; sleep(2); }`;
  const env = ['--env', `WHO=${server.user}`, '--env', `WHAT=${server.password}`];
  const argv = ['mongosh', '--quiet', '--norc', '--nodb', '--eval', loop];
  await docker('exec', '--detach', ...env, server.name, ...argv);
  await waitFor('the writer', async () => (await numbers(server)).length > 5);
}

/** All that the writer wrote and that is still in the server, wherever. */
async function numbers(server: Mongodb): Promise<readonly number[]> {
  const found = await server.js(`
    const found = new Set();
    for (const name of db.getCollectionNames()) {
      if (/(^|_)ticks(~|$)/.test(name)) {
        for (const { _id } of db.getCollection(name).find().toArray()) { found.add(Number(_id)); }
      }
    }
    return [...found]`);
  return (found as number[]).toSorted((one, other) => one - other);
}

async function done(scene: Scene, args: readonly string[]): Promise<void> {
  const ended = await scene.backupd(args);
  expect(ended.exitCode, ended.stderr).toBe(0);
}

/** Runs a command that dies at a step, and sees that it did. */
async function dieAt(step: string, scene: Scene, args: readonly string[]): Promise<void> {
  const marker = join(scene.dir, '.killed-at');
  await rm(marker, { force: true });
  const died = await scene.backupd(args, { killAt: step });
  expect(died, died.stderr).toMatchObject({ exitCode: 137 });
  expect(await readFile(marker, 'utf8')).toBe(step.split(':')[0]);
}

type State = 'backed up' | 'changed';

/** Wholly the one or wholly the other. */
async function readState({ server, backedUp, changed }: Scene): Promise<State> {
  const found = await fingerprintMongodb(server, { but: WRITTEN });
  const state = found['shop']?.['added'] === undefined ? 'backed up' : 'changed';
  expect(found).toEqual(state === 'changed' ? changed : backedUp);
  return state;
}

/** What restores keep, one name for each run and database; and nothing else is left of any. */
async function expectKept({ server }: Scene, runs: number): Promise<void> {
  const everything = await listEverything(server);
  const kept = everything.flatMap(
    (name) => /^(.*\.backupd_before_\w+?z_[0-9a-f]{4})_/.exec(name)?.[1] ?? [],
  );
  expect([...new Set(kept)]).toHaveLength(runs * 2);
  expect(everything.filter((name) => /backupd_new_|~/.test(name))).toEqual([]);
  const marks = await server.js(`return m.getDB('_backupd').restores.countDocuments()`);
  expect(marks).toBe(runs);
}

/** Everything that the writer was told to be written is there, in what is in use or in what is kept. */
async function expectNothingLost({ server }: Scene, since: number): Promise<void> {
  const found = (await numbers(server)).filter((n) => n >= since);
  const last = found.at(-1) ?? since;
  expect(found).toHaveLength(last - since + 1);
  expect(last).toBeGreaterThan(since);
}

async function reset(scene: Scene): Promise<number> {
  if ((await readState(scene)) === 'backed up') {
    await done(scene, ['restore', 'db', '--undo']);
    expect(await readState(scene)).toBe('changed');
  }
  if ((await listEverything(scene.server)).some((name) => name.includes('_before_'))) {
    await done(scene, ['restore', 'db', '--drop-previous', '--yes']);
  }
  return (await numbers(scene.server)).at(-1) ?? 0;
}

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

test.each<readonly [string, State]>([
  ['beside-built', 'changed'],
  ['swap-prepared', 'changed'],
  // The decision; then the copy of `fs.files` is made, then it is whole.
  ['swap-sent:1', 'backed up'],
  ['swap-sent:2', 'backed up'],
  ['swap-sent:3', 'backed up'],
  ['swap-moved:1', 'backed up'],
  // `ticks` is out of the way, and the writer makes another one.
  ['swap-moved:8', 'backed up'],
])('killed at %s of a restore: both databases are as they were %s', async (step, expected) => {
  const since = await reset(scene);
  await dieAt(step, scene, ['restore', 'db', '--at', scene.id, '--yes']);
  await done(scene, ['backup', 'db']);
  expect(await readState(scene)).toBe(expected);
  await expectKept(scene, expected === 'backed up' ? 1 : 0);
  await expectNothingLost(scene, since);
});

test.each<readonly [string, State]>([
  ['swap-moved:3', 'changed'],
  ['undone', 'changed'],
])('killed at %s of an undo: both databases are as they were %s', async (step, expected) => {
  const since = await reset(scene);
  await done(scene, ['restore', 'db', '--at', scene.id, '--yes']);
  await dieAt(step, scene, ['restore', 'db', '--undo', '--yes']);
  await done(scene, ['backup', 'db']);
  expect(await readState(scene)).toBe(expected);
  await expectKept(scene, 1);
  await expectNothingLost(scene, since);
});

test('killed together with the server in the midst of the swap: the next start finishes it', async () => {
  await reset(scene);
  await dieAt('swap-moved:2', scene, ['restore', 'db', '--at', scene.id, '--yes']);
  await docker('kill', scene.server.name);
  expect((await scene.backupd(['backup', 'db'])).exitCode).toBe(20);
  await docker('start', scene.server.name);
  await waitUntilReady(scene.server);
  await done(scene, ['backup', 'db']);
  expect(await readState(scene)).toBe('backed up');
  await expectKept(scene, 1);
});
