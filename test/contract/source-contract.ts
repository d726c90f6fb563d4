import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseFacts } from '../../src/core/facts.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { docker } from '../support/run-process.ts';
import type { TestContainer } from '../support/test-container.ts';

/** What a source lives in, with the means to look at it that are not backupd's. A volume is the one database in it. */
export interface ContractTarget extends AsyncDisposable {
  readonly name: string;
  /** Puts a data set into an empty target that has everything that the engine knows. */
  fill(): Promise<void>;
  /** Drops, changes and adds in every database of that data set, and drops one of several; users stay as they are. */
  change(): Promise<void>;
  /** Makes a dump of this database one that cannot be loaded. */
  poison(database: string): Promise<void>;
  /** All that it holds: what is equal is the same server. Without what restores kept, and without its first user's secret. */
  fingerprint(): Promise<{ readonly databases: Readonly<Record<string, unknown>> }>;
  /** Names of all databases that it has, also of those that are being loaded or were kept. */
  databases(): Promise<readonly string[]>;
  /** Makes the tool that dumps behave so, until it is disposed. */
  hinder(how: Hindrance): Promise<Hindered>;
}

/** One that is a server in a container of its own. */
export interface ContractServer extends TestContainer, ContractTarget {
  readonly name: string;
  /** Makes every database of the data set empty. */
  empty(): Promise<void>;
  /** Lets nobody in who has the password of its environment, until it is disposed. */
  lockOut(): Promise<AsyncDisposable>;
  untilReady(): Promise<void>;
}

/** `stops half-way`: it hangs. */
export type Hindrance = 'dies half-way' | 'dies after its last byte' | 'stops half-way';

export interface Hindered extends AsyncDisposable {
  /** Resolves once the tool hangs. */
  untilStopped(): Promise<void>;
}

/** An engine as the contract sees it. */
export interface TargetContract<Target extends ContractTarget> {
  readonly engine: string;
  /** An empty one. */
  start(): Promise<Target>;
  /** The database of the data set that is restored by itself, with its facts as they were counted by hand. */
  readonly rich: { readonly database: string; readonly facts: Omit<DatabaseFacts, 'sizeBytes'> };
  /** Another one of the data set, which `change` drops; null where there is only one. */
  readonly other: string | null;
  /** What a copy is called. */
  readonly copy: string;
  /** Facts of a database that are not true of it, each with what a difference is named by. */
  wrongFacts(facts: DatabaseFacts | undefined): readonly (readonly [unknown, string])[];
  /** What runs in it, or because of it, that backupd started. */
  readonly ourProcesses: (target: Target) => Promise<readonly string[]>;
  /** For an app whose containers are to be from another image than that under test. */
  readonly helperImage?: string;
}

export type EngineContract = Pick<
  TargetContract<ContractServer>,
  'engine' | 'start' | 'rich' | 'other'
> & {
  /** Default: a name with a blank. */
  readonly copy?: string;
};

/** What the tests of one target share. */
interface Stage<Target> {
  readonly server: () => Target;
  readonly app: () => LiveApp;
  readonly backups: () => Promise<readonly string[]>;
  /** Nothing of a run that failed is left: no backup, no half of one, no process. */
  readonly expectNothingLeft: (before: readonly string[]) => Promise<void>;
}

/** What every Source promises, on the real thing. */
export function targetContract<Target extends ContractTarget>(
  contract: TargetContract<Target>,
): Stage<Target> {
  const { engine, rich, other, copy, ourProcesses } = contract;
  let server: Target;
  let app: LiveApp;
  let backup: Manifest;

  beforeAll(async () => {
    server = await contract.start();
    await server.fill();
    const { helperImage } = contract;
    app = await liveApp({
      sources: { db: `${engine}://${server.name}` },
      ...(helperImage === undefined ? {} : { helperImage }),
    });
    backup = await app.backedUp('db');
  });

  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  async function backups(): Promise<readonly string[]> {
    const entries = await app.app.context.catalog.entries('db');
    return entries.map(({ manifest }) => manifest.id);
  }

  async function expectNothingLeft(before: readonly string[]): Promise<void> {
    expect(await backups()).toEqual(before);
    const entries = await readdir(join(app.dir, 'db'));
    expect(entries.toSorted()).toEqual(before.toSorted());
    expect(await ourProcesses(server)).toEqual([]);
  }

  test('facts are exact, and what was counted by hand', () => {
    const { sizeBytes, ...facts } = backup.facts.databases[rich.database] as DatabaseFacts;
    expect(facts).toEqual(rich.facts);
    expect(sizeBytes).toBeGreaterThan(0);
    expect(backup.warnings).toEqual([]);
    const names = other === null ? [rich.database] : [rich.database, other];
    expect(backup.databases).toEqual(expect.arrayContaining(names));
  });

  test('a restore brings everything back and keeps what was there; undo swaps back, twice is redo', async () => {
    const original = await server.fingerprint();
    const names = await server.databases();
    await server.change();
    const changed = await server.fingerprint();
    expect(changed).not.toEqual(original);

    if (other !== null) {
      const one = await app.restore({ source: 'db', databases: [other] });
      expect(one.databases).toMatchObject([{ name: other, previous: null }]);
      const { databases } = await server.fingerprint();
      expect(databases).toEqual({ ...changed.databases, [other]: original.databases[other] });
    }
    const repaired = await server.fingerprint();

    const all = await app.restore({ source: 'db' });
    expect(await server.fingerprint()).toEqual(original);
    expect(all.databases.map(({ name }) => name)).toEqual(backup.databases);
    for (const { previous } of all.databases) {
      expect(previous).toMatch(/_before_/);
    }

    await app.undo('db');
    expect(await server.fingerprint()).toEqual(repaired);
    await app.undo('db');
    expect(await server.fingerprint()).toEqual(original);

    await app.dropPrevious('db');
    expect(await server.databases()).toEqual(names);
  });

  test('a restore under another name touches nothing that is there', async () => {
    const original = await server.fingerprint();
    const report = await app.restore({ source: 'db', databases: [rich.database], as: copy });
    expect(report.databases).toMatchObject([{ restoredAs: copy, previous: null }]);
    const { [copy]: copied, ...rest } = (await server.fingerprint()).databases;
    expect(copied).toEqual(original.databases[rich.database]);
    expect(rest).toEqual(original.databases);

    await app.undo('db');
    expect(await server.fingerprint()).toEqual(original);
  });

  test('everything is restored into another server that is new and empty', async () => {
    await using another = await contract.start();
    const original = await server.fingerprint();
    const report = await app.restore({ source: 'db', into: another.name });
    expect(report.warnings).toEqual([]);
    expect(await another.fingerprint()).toEqual(original);
    expect(await server.fingerprint()).toEqual(original);
  });

  test('a restore whose load fails changes nothing and leaves nothing', async () => {
    await server.poison(rich.database);
    const poisoned = await app.backedUp('db');
    const before = await server.fingerprint();
    const names = await server.databases();

    await expect(
      app.restore({ source: 'db', at: poisoned.id, databases: [rich.database] }),
    ).rejects.toMatchObject({
      code: 'restore-failed',
      hint: expect.stringContaining('untouched') as string,
    });
    expect(await server.fingerprint()).toEqual(before);
    expect(await server.databases()).toEqual(names);
    expect(await ourProcesses(server)).toEqual([]);

    await app.restore({ source: 'db', at: backup.id, databases: [rich.database] });
  });

  test('what was loaded and is not what the facts say is not swapped in, and nothing of it is left', async () => {
    const path = join(app.dir, 'db', backup.id, 'manifest.json');
    const written = await readFile(path, 'utf8');
    const before = await server.fingerprint();
    const names = await server.databases();
    const restore = { source: 'db', at: backup.id, databases: [rich.database] };

    for (const [fact, named] of contract.wrongFacts(backup.facts.databases[rich.database])) {
      const databases = { ...backup.facts.databases, [rich.database]: fact };
      await writeFile(path, JSON.stringify({ ...backup, facts: { ...backup.facts, databases } }));
      await expect(app.restore(restore), named).rejects.toMatchObject({
        code: 'verification-failed',
        message: expect.stringContaining(named) as string,
        hint: expect.stringContaining('untouched') as string,
      });
    }
    await writeFile(path, written);
    expect(await server.fingerprint()).toEqual(before);
    expect(await server.databases()).toEqual(names);
    expect(await ourProcesses(server)).toEqual([]);
  });

  test.each<Hindrance>(['dies half-way', 'dies after its last byte'])(
    'a tool that %s leaves no backup',
    async (how) => {
      const before = await backups();
      {
        await using _hindered = await server.hinder(how);
        const run = await app.backUp('db');
        expect(run).toMatchObject({ outcome: 'failed', failure: { code: 'dump-failed' } });
      }
      await expectNothingLeft(before);
    },
  );

  test('a second backup of a source is refused, and the first one can be cancelled', async () => {
    const before = await backups();
    {
      await using hindered = await server.hinder('stops half-way');
      const ending = new AbortController();
      const first = app.backUp('db', { signal: ending.signal });
      await hindered.untilStopped();

      const second = await app.backUp('db');
      expect(second).toMatchObject({ outcome: 'skipped', failure: { code: 'locked' } });
      expect(await ourProcesses(server)).not.toEqual([]);

      ending.abort();
      expect(await first).toMatchObject({
        outcome: 'interrupted',
        failure: { code: 'cancelled' },
      });
    }
    await expectNothingLeft(before);
    await app.backedUp('db');
  });

  return { server: () => server, app: () => app, backups, expectNothingLeft };
}

/** And what those promise that are servers. */
export function sourceContract(contract: EngineContract): void {
  const { rich } = contract;
  const stage = targetContract<ContractServer>({
    copy: 'A copy',
    ...contract,
    wrongFacts,
    ourProcesses,
  });
  const { backups, expectNothingLeft } = stage;

  test('a target that stops during the dump leaves no backup, and the next run is good', async () => {
    const [server, app] = [stage.server(), stage.app()];
    const before = await backups();
    {
      await using hindered = await server.hinder('stops half-way');
      const run = app.backUp('db');
      await hindered.untilStopped();
      await docker('stop', '--time', '5', server.name);
      expect(await run).toMatchObject({ outcome: 'failed', failure: { code: 'dump-failed' } });
      expect(await app.backUp('db')).toMatchObject({ failure: { code: 'target-unavailable' } });
      await docker('start', server.name);
      await server.untilReady();
    }
    await expectNothingLeft(before);
    await app.backedUp('db');
  });

  test('a wrong password is said as such', async () => {
    const [server, app] = [stage.server(), stage.app()];
    const before = await backups();
    {
      await using _locked = await server.lockOut();
      const { failure } = await app.backUp('db');
      expect(failure).toMatchObject({
        code: 'dump-failed',
        message: expect.stringMatching(/password/) as string,
        hint: expect.stringMatching(/password/i) as string,
      });
      // Nothing is dumped there.
      await expect(app.plan({ source: 'db' })).rejects.toMatchObject({
        code: 'target-unavailable',
        message: expect.stringMatching(/password/) as string,
      });
    }
    await expectNothingLeft(before);
    await app.backedUp('db');
  });

  test('a source that was emptied is backed up, flagged, and not what latest means', async () => {
    const [server, app] = [stage.server(), stage.app()];
    const original = await server.fingerprint();
    await server.empty();
    const flagged = await app.backedUp('db');
    expect(flagged.suspicious).toBe(true);

    const report = await app.restore({ source: 'db', databases: [rich.database] });
    expect(report.id).not.toBe(flagged.id);
    const { databases } = await server.fingerprint();
    expect(databases[rich.database]).toEqual(original.databases[rich.database]);
  });
}

/** Facts of a database that are not true of it, each with what a difference is named by. */
function wrongFacts(facts: DatabaseFacts | undefined): readonly (readonly [unknown, string])[] {
  const [table = ''] = Object.keys(facts?.tables ?? {});
  const [sequence = ''] = Object.keys(facts?.sequences ?? {});
  const moreRows = { ...facts?.tables, [table]: { rows: 1_000_001, exact: true } };
  return [
    [{ ...facts, tables: moreRows }, `rows of ${table}`],
    [{ ...facts, tables: { ...facts?.tables, lost: { rows: 0, exact: true } } }, 'table lost'],
    [{ ...facts, sequences: { ...facts?.sequences, [sequence]: '7777' } }, `sequence ${sequence}`],
  ];
}

/** Command lines of the processes in a container that backupd started. */
async function ourProcesses(container: TestContainer): Promise<readonly string[]> {
  const script = `
    for dir in /proc/[0-9]*; do
      if tr '\\000' '\\n' <"$dir/environ" 2>/dev/null | grep -q '^BACKUPD_RUN='; then
        echo "$(tr '\\000' ' ' <"$dir/cmdline" | head -c 300)"
      fi
    done`;
  const { stdout } = await container.exec(['sh', '-c', script], { user: 'root' });
  return stdout.split('\n').filter((line) => line !== '');
}
