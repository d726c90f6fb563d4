import { reach } from '../../core/steps.ts';
import type { Warning } from '../../core/manifest.ts';
import type { Beside, BesideDatabase, RestorePlan } from '../../core/restorer.ts';
import type { TargetRef } from '../../core/target.ts';
import { waitForAll } from '../../core/wait-for-all.ts';
import { fitIdent, quoteIdent, quoteLiteral } from './sql.ts';
import { archiveOf } from '../feed.ts';
import { runPrefix } from '../runs.ts';
import type { Connection } from './connection.ts';
import {
  BESIDE_SETTING,
  besideMark,
  listDatabases,
  readServer,
  type DatabaseRow,
} from './databases.ts';
import { createMissingGlobals, parseGlobals } from './globals.ts';
import { createStatement, databaseProperties, propertyStatements } from './properties.ts';
import { queryJson, runSql } from './session.ts';
import { leftOutOf, loadDatabase, type Load } from './pg-restore.ts';
import { readToc, type ArchiveToc } from './toc.ts';

/** Loads every database of the plan under a temporary name. The caller discards what was made when this fails. */
export async function loadBeside(
  connection: Connection,
  into: TargetRef,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<Beside> {
  const { server, live, tablespaces } = await lookAround(connection, signal);
  const warnings = [...(await restoreGlobals(connection, plan, signal))];
  const taken = new Set(live.keys());
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

interface Surroundings extends Pick<Load, 'server' | 'tablespaces'> {
  /** By name. */
  readonly live: ReadonlyMap<string, DatabaseRow>;
}

/** What a load has to know of the target. */
async function lookAround(connection: Connection, signal: AbortSignal): Promise<Surroundings> {
  const query = {
    database: connection.maintenanceDatabase,
    sql: 'select to_json(spcname) from pg_tablespace',
    code: 'restore-failed',
  } as const;
  const [server, rows, tablespaces] = await waitForAll([
    readServer(connection, 'restore-failed', signal),
    listDatabases(connection, 'restore-failed', signal),
    queryJson<string>(connection, query, signal),
  ]);
  return {
    server,
    live: new Map(rows.map((row) => [row.name, row])),
    tablespaces: new Set(tablespaces),
  };
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
