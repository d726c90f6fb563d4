import { pipeline } from 'node:stream/promises';
import { reach } from '../../core/steps.ts';
import { BackupdError } from '../../core/errors.ts';
import type { Warning } from '../../core/manifest.ts';
import type { Beside, BesideDatabase, RestorePlan, TargetRef } from '../../core/source.ts';
import { runExec, startExec, type ExecRequest } from '../../docker/exec.ts';
import { connectionName, fitIdent, quoteIdent, quoteLiteral } from './sql.ts';
import { lastLine, runPrefix, type Connection } from './connection.ts';
import {
  BESIDE_SETTING,
  besideMark,
  listDatabases,
  readServer,
  type ServerRow,
} from './databases.ts';
import { createMissingGlobals, parseGlobals } from './globals.ts';
import { createStatement, databaseProperties, propertyStatements } from './properties.ts';
import { queryJson, runSql } from './session.ts';
import { watchSpace, type SpaceWatch } from './space.ts';
import { readToc, type ArchiveToc } from './toc.ts';

/** Index builds side by side; these machines are small and the server has other work. */
const INDEX_JOBS = 2;

/** Loads every database of the plan under a temporary name. The caller discards what was made when this fails. */
export async function loadBeside(
  connection: Connection,
  into: TargetRef,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<Beside> {
  const server = await readServer(connection, 'restore-failed', signal);
  const warnings = [...(await restoreGlobals(connection, plan, signal))];
  const live = new Map(
    (await listDatabases(connection, 'restore-failed', signal)).map((row) => [row.name, row]),
  );
  const taken = new Set(live.keys());
  const tablespaces = new Set(
    await queryJson<string>(
      connection,
      {
        database: connection.maintenanceDatabase,
        sql: 'select to_json(spcname) from pg_tablespace',
        code: 'restore-failed',
      },
      signal,
    ),
  );
  const databases: BesideDatabase[] = [];
  const statements: string[] = [];
  for (const [index, wanted] of plan.databases.entries()) {
    const toc = await readArchiveToc(plan, wanted.name, signal);
    warnings.push(...leftOutOf(toc, wanted.name));
    const properties = databaseProperties(toc.entries);
    const temporary = temporaryName(plan.run, index);
    const create =
      properties === null
        ? `create database ${quoteIdent(temporary)} template template0`
        : createStatement(properties, temporary, tablespaces);
    const temporaryId = await createMarked(
      connection,
      { name: temporary, create, run: plan.run },
      signal,
    );
    reach('beside-created');
    await loadDatabase(
      { connection, server, plan, name: wanted.name, temporary, toc, tablespaces },
      signal,
    );
    const existing = live.get(wanted.restoredAs);
    const keptAs = freeName(wanted.restoredAs, plan.run, taken);
    taken.add(keptAs);
    databases.push({
      name: wanted.name,
      restoredAs: wanted.restoredAs,
      temporary,
      temporaryId,
      live: existing === undefined ? null : { id: existing.oid, keptAs },
    });
    statements.push(
      ...(properties === null ? [] : propertyStatements(properties, wanted.restoredAs)),
    );
  }
  return { run: plan.run, target: into, databases, warnings, statements };
}

/** Temporary names are ours by their setting; the name only has to be free and to fit. */
function temporaryName(run: string, index: number): string {
  return `backupd_${run.toLowerCase()}_${index}`;
}

/** `shop_before_20261122t020000z`, cut so that it fits 63 bytes; a number where that is taken. */
export function freeName(name: string, run: string, taken: ReadonlySet<string>): string {
  const stamp = run.toLowerCase().split('-')[0] ?? run;
  for (let number = 1; ; number += 1) {
    const candidate = fitIdent(name, `_before_${stamp}${number === 1 ? '' : `_${number}`}`);
    if (!taken.has(candidate)) {
      return candidate;
    }
  }
}

async function restoreGlobals(
  connection: Connection,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const file = plan.manifest.files.find(
    (candidate) => candidate.database === null && candidate.format === 'sql',
  );
  if (file === undefined) {
    return [];
  }
  const chunks: Buffer[] = [];
  for await (const chunk of plan.open(file, signal)) {
    chunks.push(chunk as Buffer);
  }
  return createMissingGlobals(
    connection,
    parseGlobals(Buffer.concat(chunks).toString('utf8')),
    'restore-failed',
    signal,
  );
}

async function readArchiveToc(
  plan: RestorePlan,
  database: string,
  signal: AbortSignal,
): Promise<ArchiveToc> {
  const stream = plan.open(archiveOf(plan, database), signal);
  try {
    return await readToc(stream);
  } finally {
    stream.destroy();
  }
}

function archiveOf(plan: RestorePlan, database: string): RestorePlan['manifest']['files'][number] {
  const file = plan.manifest.files.find((candidate) => candidate.database === database);
  if (file === undefined) {
    throw new BackupdError(
      'backup-not-found',
      `backup ${plan.manifest.id} has no archive of database "${database}"`,
    );
  }
  return file;
}

/**
 * Marked in the same session, right after its creation: CREATE DATABASE cannot be in a transaction with anything.
 * @returns its OID
 */
async function createMarked(
  connection: Connection,
  { name, create, run }: { name: string; create: string; run: string },
  signal: AbortSignal,
): Promise<string> {
  const mark = besideMark(runPrefix(connection.run), run);
  const [oid] = await runSql(
    connection,
    {
      database: connection.maintenanceDatabase,
      sql: `${create};
alter database ${quoteIdent(name)} set ${BESIDE_SETTING} = ${quoteLiteral(mark)};
select oid from pg_database where datname = ${quoteLiteral(name)};`,
      code: 'restore-failed',
    },
    signal,
  );
  return oid ?? '';
}

interface Load {
  readonly connection: Connection;
  readonly server: ServerRow;
  readonly plan: RestorePlan;
  readonly name: string;
  readonly temporary: string;
  readonly toc: ArchiveToc;
  readonly tablespaces: ReadonlySet<string>;
}

/** Tables and rows from the stream, then indexes and constraints in parallel from the table of contents alone, then statistics. */
async function loadDatabase(load: Load, signal: AbortSignal): Promise<void> {
  const { connection, plan, name, temporary, server } = load;
  await using space = await watchSpace(connection, server, signal);
  const watched = AbortSignal.any([signal, space.failed]);
  try {
    await streamData(load, space, watched);
    reach('beside-loaded');
    plan.onProgress({ stage: 'index', database: name });
    await buildIndexes(load, watched);
    reach('beside-indexed');
    plan.onProgress({ stage: 'analyze', database: name });
    await runSql(
      connection,
      { database: temporary, sql: 'analyze;', code: 'restore-failed' },
      watched,
    );
  } catch (error) {
    // Whatever the tool said when it was ended: the reason is the disk.
    throw space.failed.aborted ? space.failed.reason : error;
  }
}

/** Objects that cannot or must not be made: a restored subscription carries the live slot's name and would drop it. */
const LEFT_OUT = ['--no-subscriptions', '--exit-on-error'];

function leftOutOf({ entries }: ArchiveToc, database: string): readonly Warning[] {
  return entries
    .filter((entry) => entry.desc === 'SUBSCRIPTION')
    .map(({ tag }) => ({
      code: 'subscription-left-out',
      message: `subscription "${tag}" of database "${database}" was not restored: create it anew where it is to go on`,
    }));
}

function restoreArgv(load: Load, sections: readonly string[]): string[] {
  return [
    'pg_restore',
    ...LEFT_OUT,
    ...(usesMissingTablespace(load) ? ['--no-tablespaces'] : []),
    ...sections.map((section) => `--section=${section}`),
    '-d',
    connectionName(load.temporary),
  ];
}

function usesMissingTablespace({ toc, tablespaces }: Load): boolean {
  return toc.entries.some((entry) => entry.tablespace !== '' && !tablespaces.has(entry.tablespace));
}

async function streamData(load: Load, space: SpaceWatch, signal: AbortSignal): Promise<void> {
  const { connection, plan, name } = load;
  const file = archiveOf(plan, name);
  const process = await startExec(
    connection.docker,
    { ...request(connection, restoreArgv(load, ['pre-data', 'data'])), stdin: 'pipe' },
    signal,
  );
  process.stdout.resume();
  if (process.stdin === null) {
    throw new BackupdError('internal', 'pg_restore was started without standard input');
  }
  let bytes = 0;
  const source = plan.open(file, signal);
  source.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    plan.onProgress({ stage: 'load', database: name, bytes, totalBytes: file.dumpBytes });
  });
  const [fed, exit] = await Promise.allSettled([
    pipeline(space.gate(source), process.stdin, { signal }),
    process.exited,
  ]);
  // A tool that refuses closes its input, so its own words come first.
  if (exit.status === 'rejected') {
    throw exit.reason;
  }
  if (exit.value.exitCode !== 0) {
    throw toolFailure(connection, 'pg_restore', exit.value.exitCode, process.stderr.text());
  }
  if (fed.status === 'rejected') {
    throw fed.reason;
  }
}

/**
 * $0: a file for standard input; $@: the command, which is given that file. It has no name any more when the command
 * begins, so that nothing stays whatever dies; every worker of pg_restore can open it all the same.
 */
const FROM_MEMORY =
  'umask 077; cat >"$0" || { rm -f -- "$0"; exit 1; }; exec 3<"$0"; rm -f -- "$0"; exec "$@" /proc/self/fd/3 </dev/null';

/**
 * Indexes need only the table of contents, which is small: kept in the target's memory for that time, since the
 * root may be read-only and /tmp tiny. pg_restore wants to seek in it when it works in parallel.
 */
async function buildIndexes(load: Load, signal: AbortSignal): Promise<void> {
  const { connection, toc } = load;
  const path = `/dev/shm/backupd-${load.temporary}.toc`;
  const tool = [...restoreArgv(load, ['post-data']), `--jobs=${INDEX_JOBS}`];
  const result = await runExec(
    connection.docker,
    { ...request(connection, ['sh', '-c', FROM_MEMORY, path, ...tool]), input: toc.bytes },
    signal,
  );
  if (result.exitCode !== 0) {
    throw toolFailure(connection, 'pg_restore', result.exitCode, result.stderr);
  }
}

function request(connection: Connection, argv: readonly string[]): ExecRequest {
  return {
    containerId: connection.containerId,
    container: connection.container,
    run: connection.run,
    argv,
    env: { ...connection.environment, PGDATABASE: connection.maintenanceDatabase },
    // An index may take long to build and says nothing meanwhile.
    idleMs: 0,
  };
}

function toolFailure(
  connection: Connection,
  tool: string,
  exitCode: number | null,
  stderr: string,
): BackupdError {
  const said = stderr.split('\n').find((line) => /error: /.test(line)) ?? lastLine(stderr);
  return new BackupdError(
    'restore-failed',
    `${tool} in "${connection.container}" exited with ${exitCode ?? 'no code'}: ${said.trim()}`,
    {
      hint: 'What was there is untouched.',
    },
  );
}
