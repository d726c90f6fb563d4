import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { DatabaseFacts } from '../../core/facts.ts';
import { encodeName } from '../../core/layout.ts';
import type { Warning } from '../../core/manifest.ts';
import type { DumpPart, DumpPlan, DumpResult, DumpSession, PartFacts } from '../../core/source.ts';
import { compressedArgv } from '../../docker/exec-pipe.ts';
import { startExec } from '../../docker/exec.ts';
import { verdictStream } from '../../docker/verdict-stream.ts';
import { chooseDatabases, refuseNone, type DatabaseChoice } from '../choose-databases.ts';
import type { Connection } from './connection.ts';
import {
  listDatabases,
  ownDatabases,
  readContents,
  type Contents,
  type DatabaseRow,
} from './databases.ts';
import { dumpArgv } from './dump-script.ts';
import { missingRights, readPrivileges, seesEvents } from './privileges.ts';
import { dumpUsers } from './users.ts';

/** One database and what was in it when its dump began. */
interface Dumped extends DatabaseRow {
  readonly contents: Contents;
}

/** Opens a dump of a server: looks at what there is, dumps nothing yet. */
export async function openDump(
  connection: Connection,
  choice: DatabaseChoice,
  plan: DumpPlan,
  signal: AbortSignal,
): Promise<DumpSession> {
  const rows = await listDatabases(connection, 'dump-failed', signal);
  const databases = chooseDatabases(ownDatabases(rows), choice, connection.container);
  refuseNone(databases, connection.container);
  const privileges = await readPrivileges(connection, signal);
  const dumped: Dumped[] = [];
  const ending = new AbortController();

  async function* parts(): AsyncGenerator<DumpPart> {
    const users = Readable.from([Buffer.from(await dumpUsers(connection, signal))]);
    yield { stem: 'users.sql', format: 'sql', database: null, encoding: 'none', stream: users };
    for (const database of databases) {
      const contents = await readContents(connection, database.name, signal);
      dumped.push({ ...database, contents });
      const own = AbortSignal.any([signal, ending.signal]);
      const events = seesEvents(database.name, privileges);
      yield await dumpDatabase(connection, { ...database, contents }, { ...plan, events }, own);
    }
  }

  return {
    parts,
    finish(read) {
      const result = describeDump(connection, dumped, plan, read);
      const missing = databases.flatMap(({ name }) => missingRights(connection, name, privileges));
      return Promise.resolve({ ...result, warnings: [...missing, ...result.warnings] });
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.resolve();
    },
  };
}

async function dumpDatabase(
  connection: Connection,
  { name, contents }: Dumped,
  { compressInTarget, events }: DumpPlan & { readonly events: boolean },
  signal: AbortSignal,
): Promise<DumpPart> {
  const { docker, containerId, container, run, environment, flavour, tools, options, hasZstd } =
    connection;
  const argv = dumpArgv({
    flavour,
    tool: tools.dump,
    options,
    token: randomBytes(16).toString('hex'),
    database: name,
    events,
    views: contents.views,
    brokenViews: contents.brokenViews.map((view) => view.name),
  });
  const level = hasZstd ? (compressInTarget?.level ?? null) : null;
  const process = await startExec(
    docker,
    {
      containerId,
      container,
      run,
      argv: level === null ? argv : compressedArgv(argv, { level }),
      env: environment,
    },
    signal,
  );
  return {
    stem: `${encodeName(name)}.sql`,
    format: 'mysql-dump',
    database: name,
    encoding: level === null ? 'none' : 'zstd',
    stream: verdictStream(process, { tool: tools.dump, code: 'dump-failed', container }),
  };
}

function describeDump(
  { flavour, serverVersion, toolVersion }: Connection,
  dumped: readonly Dumped[],
  { facts: depth }: DumpPlan,
  read: ReadonlyMap<string, PartFacts>,
): DumpResult {
  const facts = dumped.map(({ name, contents }) => {
    const found = read.get(`${encodeName(name)}.sql`);
    const told: DatabaseFacts = {
      sizeBytes: contents.sizeBytes,
      tables: depth === 'off' ? {} : (found?.tables ?? {}),
      sequences: depth === 'off' ? {} : (found?.sequences ?? {}),
      objects: depth === 'off' ? {} : (found?.objects ?? {}),
    };
    return [name, told] as const;
  });
  return {
    toolVersion,
    databases: dumped.map(({ name }) => name),
    facts: { serverVersion, databases: Object.fromEntries(facts) },
    engineFacts: {
      flavour,
      databases: Object.fromEntries(
        dumped.map(({ name, characterSet, collation, contents }) => [
          name,
          { characterSet, collation, brokenViews: contents.brokenViews },
        ]),
      ),
    },
    position: null,
    warnings: dumped.flatMap((database) => warningsOf(database)),
  };
}

function warningsOf({ name, contents }: Dumped): readonly Warning[] {
  const { brokenViews, unsafeTables } = contents;
  return [
    ...brokenViews.map((view) => ({
      code: 'view-broken',
      message: `view "${view.name}" in "${name}" cannot be read and was not dumped: ${view.why}; the manifest has its definition`,
    })),
    ...(unsafeTables.length === 0
      ? []
      : [
          {
            code: 'not-transactional',
            message: `tables in "${name}" without transactions may have changed while they were dumped: ${unsafeTables.join(', ')}`,
          },
        ]),
  ];
}
