import type { DatabaseFacts, Facts } from '../../core/facts.ts';
import type { Warning } from '../../core/manifest.ts';
import type { DumpPart, DumpPlan, DumpResult, DumpSession, PartFacts } from '../../core/source.ts';
import { encodeName } from '../../core/layout.ts';
import { chooseDatabases, refuseNone, type DatabaseChoice } from '../choose-databases.ts';
import type { Connection } from './connection.ts';
import type { DatabaseRow, ServerRow } from './databases.ts';
import { dumpGlobals } from './globals.ts';
import { quoteIdent } from './sql.ts';
import { startDump, type DumpRun } from './pg-dump.ts';

/** What there is to dump. */
export interface Surroundings {
  readonly server: ServerRow;
  readonly rows: readonly DatabaseRow[];
}

/** Opens a dump of a server: chooses what to dump, dumps nothing yet. */
export function openDump(
  connection: Connection,
  { server, rows }: Surroundings,
  plan: DumpPlan & { readonly choice: DatabaseChoice },
  signal: AbortSignal,
): DumpSession {
  const warnings: Warning[] = [];
  const databases = databasesToDump(connection, rows, plan.choice, warnings);
  const level = connection.tools.hasZstd ? (plan.compressInTarget?.level ?? null) : null;
  const run: DumpRun = { connection, server, plan, level, signal };
  const facts: Record<string, DatabaseFacts> = {};
  const ending = new AbortController();

  async function* parts(): AsyncGenerator<DumpPart> {
    const globals = await dumpGlobals(connection, server, warnings, signal);
    yield { stem: 'globals.sql', format: 'sql', database: null, encoding: 'none', stream: globals };
    for (const database of databases) {
      await using dump = await startDump(
        { ...run, signal: AbortSignal.any([signal, ending.signal]) },
        database,
      );
      yield dump.part;
      facts[database.name] = await dump.facts;
    }
  }

  return {
    parts,
    finish(read) {
      return Promise.resolve(describeDump(run, databases, withSequences(facts, read), warnings));
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.resolve();
    },
  };
}

function describeDump(
  { connection, server }: DumpRun,
  databases: readonly DatabaseRow[],
  facts: Facts['databases'],
  warnings: readonly Warning[],
): DumpResult {
  const found: Facts = { serverVersion: server.version, databases: facts };
  return {
    toolVersion: connection.tools.version,
    databases: databases.map((database) => database.name),
    facts: found,
    engineFacts: {
      versionNumber: server.versionNumber,
      bootstrapRole: server.bootstrapRole,
      standby: server.isStandby,
    },
    position: null,
    warnings: [...warnings, ...rewrittenWarnings(found)],
  };
}

/**
 * The databases to dump; what is left out although nobody said so is warned of.
 * @throws BackupdError `dump-failed` where one that is named is not there, or none is left
 */
export function databasesToDump(
  { container }: Pick<Connection, 'container'>,
  rows: readonly DatabaseRow[],
  choice: DatabaseChoice,
  warnings: Warning[],
): readonly DatabaseRow[] {
  const ours = rows.filter((row) => row.previous === null && row.beside === null);
  warnings.push(...rows.flatMap((row) => renamedWarning(row)));
  const chosen = chooseDatabases(ours, choice, container);
  warnings.push(...chosen.flatMap((row) => skippedWarning(row)));
  const dumped = chosen.filter((row) => row.allowsConnections && !row.isInvalid);
  refuseNone(dumped, container);
  return dumped;
}

function skippedWarning({ name, allowsConnections, isInvalid }: DatabaseRow): readonly Warning[] {
  if (isInvalid) {
    const message = `database "${name}" was not dumped: a DROP DATABASE of it was interrupted, and nothing can be done with it but to drop it`;
    return [{ code: 'database-skipped', message }];
  }
  return allowsConnections
    ? []
    : [
        {
          code: 'database-skipped',
          message: `database "${name}" allows no connections and was not dumped`,
        },
      ];
}

/** Somebody who gave a kept database another name may use it, and must know that it is not backed up. */
function renamedWarning({ name, previous }: DatabaseRow): readonly Warning[] {
  return previous === null || previous.keptAs === name
    ? []
    : [
        {
          code: 'kept-renamed',
          message: `database "${name}" is what a restore kept of "${previous.name}" and is not backed up; if it is in use: alter database ${quoteIdent(name)} reset backupd.previous`,
        },
      ];
}

function withSequences(
  facts: Readonly<Record<string, DatabaseFacts>>,
  read: ReadonlyMap<string, PartFacts>,
): Record<string, DatabaseFacts> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, found]) => [
      name,
      { ...found, sequences: read.get(`${encodeName(name)}.dump`)?.sequences ?? {} },
    ]),
  );
}

function rewrittenWarnings(facts: Facts): readonly Warning[] {
  return Object.entries(facts.databases).flatMap(([database, { tables }]) =>
    Object.entries(tables)
      .filter(([, table]) => table.rows === null)
      .map(([name]) => ({
        code: 'rows-unknown',
        message: `rows of ${name} in "${database}" are unknown: it was rewritten while they were counted`,
      })),
  );
}
