import { pipeline } from 'node:stream/promises';
import { BackupdError } from '../../core/errors.ts';
import type { Warning } from '../../core/manifest.ts';
import type { Beside, BesideDatabase, RestorePlan } from '../../core/restorer.ts';
import type { TargetRef } from '../../core/target.ts';
import { reach } from '../../core/steps.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { startExec } from '../../docker/exec.ts';
import { archiveOf, openFeed } from '../feed.ts';
import { watchSpace, type SpaceWatch } from '../space.ts';
import type { Connection } from './connection.ts';
import { clientRequest, query } from './query.ts';
import { listDatabases } from './databases.ts';
import { readDisk } from './disk.ts';
import { besideStatements, type Characters } from './marks.ts';
import { besideMark, besideName, freeName } from './names.ts';
import { createScript, inOrder, type StoredObject } from './objects.ts';
import { readObjects } from './read-objects.ts';
import { makeAccounts, planAccounts } from './restore-users.ts';
import { splitDump } from './split.ts';
import { schemaRenamed } from './sql.ts';
import { withSequencesIn } from './sequence-defaults.ts';
import { allTables, charactersStatement, createDatabase } from './tables.ts';

/** What was loaded beside, with what the archive has besides tables, by name of the database. */
export interface Loaded {
  readonly beside: Beside;
  readonly objects: ReadonlyMap<string, readonly StoredObject[]>;
}

/** Loads every database of the plan under a temporary name. The caller discards what was made when this fails. */
export async function loadBeside(
  connection: Connection,
  into: TargetRef,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<Loaded> {
  const disk = await readDisk(connection, 'restore-failed', signal);
  await using space = await watchSpace(disk, signal);
  try {
    return await loadAll(
      connection,
      { into, plan, space },
      AbortSignal.any([signal, space.failed]),
    );
  } catch (error) {
    // Whatever the client said when it was ended: the reason is the disk.
    throw space.failed.aborted ? space.failed.reason : error;
  }
}

interface LoadingAll {
  readonly into: TargetRef;
  readonly plan: RestorePlan;
  readonly space: SpaceWatch;
}

async function loadAll(
  connection: Connection,
  { into, plan, space }: LoadingAll,
  signal: AbortSignal,
): Promise<Loaded> {
  const live = await listDatabases(connection, 'restore-failed', signal);
  const accounts = await planAccounts(connection, plan, signal);
  const warnings: Warning[] = [];
  const taken = new Set(live.map(({ name }) => name));
  const databases: BesideDatabase[] = [];
  const objects = new Map<string, readonly StoredObject[]>();
  for (const [index, { name, restoredAs }] of plan.databases.entries()) {
    const temporary = besideName(plan.run, index);
    const made = [
      createDatabase(temporary, characterSetOf(plan, name)),
      // The first one tells of the accounts, before they are made.
      ...besideStatements(
        temporary,
        besideMark(connection, plan.run),
        index === 0 ? accounts.missing.map(({ account }) => account) : [],
      ),
    ];
    await query(connection, { sql: made.join('\n'), code: 'restore-failed' }, signal);
    reach('beside-created');
    if (index === 0) {
      warnings.push(...(await makeAccounts(connection, accounts, signal)));
    }
    const loading = {
      name,
      temporary,
      space,
      takesOwnSequences: await lacksSequences(connection, plan, { name, restoredAs }, signal),
    };
    const script = await streamTables(connection, plan, loading, signal);
    reach('beside-loaded');
    plan.onProgress({ stage: 'index', database: name });
    const found = readObjects(script);
    await rehearse(connection, { objects: found, name, temporary }, signal);
    // Making them may have changed it.
    const sql = charactersStatement(temporary, characterSetOf(plan, name));
    await query(connection, { sql, code: 'restore-failed' }, signal);
    objects.set(name, renamedFor(found, { from: name, to: restoredAs }));
    const existing = live.find((row) => row.name === restoredAs);
    const keptAs = freeName(restoredAs, plan.run, taken);
    taken.add(keptAs);
    databases.push({
      name,
      restoredAs,
      temporary,
      temporaryId: temporary,
      live: existing === undefined ? null : { id: restoredAs, keptAs },
    });
  }
  const { statements } = accounts;
  return { beside: { run: plan.run, target: into, databases, warnings, statements }, objects };
}

function characterSetOf({ manifest }: RestorePlan, name: string): Characters {
  const all = manifest.engineFacts['databases'] as Readonly<Record<string, Characters>> | undefined;
  const { characterSet = 'utf8mb4', collation = 'utf8mb4_general_ci' } = all?.[name] ?? {};
  return { characterSet, collation };
}

interface Loading {
  readonly name: string;
  readonly temporary: string;
}

interface LoadingTables extends Loading, Pick<LoadingAll, 'space'> {
  /** Whether columns take their numbers from the sequences that are loaded with them. */
  readonly takesOwnSequences: boolean;
}

/**
 * A column names the sequence that it takes its numbers from with its database, and cannot be made where that is not there.
 * Where it is, nothing has to be changed in the moment of the swap.
 */
async function lacksSequences(
  connection: Connection,
  { manifest }: RestorePlan,
  { name, restoredAs }: { readonly name: string; readonly restoredAs: string },
  signal: AbortSignal,
): Promise<boolean> {
  if (connection.flavour !== 'mariadb') {
    return false;
  }
  if (name !== restoredAs) {
    return true;
  }
  const sequences = Object.keys(manifest.facts.databases[name]?.sequences ?? {});
  const there = await allTables(connection, name, signal);
  return there.length === 0 || sequences.some((sequence) => !there.includes(sequence));
}

/** @returns the rest of the archive */
async function streamTables(
  connection: Connection,
  plan: RestorePlan,
  { name, temporary, space, takesOwnSequences }: LoadingTables,
  signal: AbortSignal,
): Promise<string> {
  const file = archiveOf(plan, name);
  const { docker, container, tools } = connection;
  const request = clientRequest(connection, [`--database=${temporary}`]);
  const client = await startExec(docker, { ...request, stdin: 'pipe' }, signal);
  client.stdout.resume();
  const split = splitDump();
  const feed = openFeed(plan, file, { isCompressed: false }, signal);
  function onPassed(bytes: number): void {
    plan.onProgress({ stage: 'load', database: name, bytes, totalBytes: file.dumpBytes });
  }
  const [sent, ended] = await Promise.allSettled([
    client.stdin === null
      ? Promise.resolve()
      : pipeline(
          space.gate(feed, onPassed),
          takesOwnSequences
            ? (dump: AsyncIterable<Buffer>) =>
                withSequencesIn(split.tables(dump), { from: name, to: temporary })
            : split.tables,
          client.stdin,
          { signal },
        ),
    client.exited,
  ]);
  if (ended.status === 'fulfilled' && ended.value.exitCode !== 0) {
    // What it said tells more than that it took no more.
    throw new BackupdError(
      'restore-failed',
      `${tools.client} in "${container}" exited with ${ended.value.exitCode ?? 'no code'} while it loaded "${name}": ${reasonOf(ended.value, client.stderr.text())}`,
    );
  }
  for (const one of [sent, ended]) {
    if (one.status === 'rejected') {
      throw one.reason;
    }
  }
  return split.objects();
}

/** Makes everything but events beside, which would begin to run: what cannot be made must not be found out after the swap. */
async function rehearse(
  connection: Connection,
  { objects, name, temporary }: Loading & { readonly objects: readonly StoredObject[] },
  signal: AbortSignal,
): Promise<void> {
  const schema = { from: name, to: temporary };
  const scripts = inOrder(objects)
    .filter(({ kind }) => kind !== 'event')
    .map((object) => createScript(object, object.kind === 'view' ? { schema } : {}));
  if (scripts.length > 0) {
    const sql = Buffer.from(scripts.join(''), 'latin1');
    await query(connection, { sql, database: temporary, code: 'restore-failed' }, signal);
  }
}

/** Views name the database they were made in, or may. */
function renamedFor(
  objects: readonly StoredObject[],
  schema: { readonly from: string; readonly to: string },
): readonly StoredObject[] {
  return objects.map((object) =>
    object.kind === 'view' ? { ...object, tail: schemaRenamed(object.tail, schema) } : object,
  );
}
