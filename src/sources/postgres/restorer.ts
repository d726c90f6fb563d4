import { BackupdError } from '../../core/errors.ts';
import { reach } from '../../core/steps.ts';
import { compareFacts, type Comparison } from '../../core/facts.ts';
import type {
  Beside,
  JournalState,
  Previous,
  Restorer,
  RestorePlan,
  TargetRef,
} from '../../core/source.ts';
import { applicationPrefix, runPrefix, type Connection } from './connection.ts';
import { besideMark, listDatabases, type DatabaseRow } from './databases.ts';
import { readFacts, readSequences } from './facts.ts';
import { freeName, loadBeside } from './load.ts';
import { lookAhead } from './preflight.ts';
import { openSession, runSql } from './session.ts';
import { quoteIdent, quoteLiteral } from './sql.ts';
import {
  isSwapped,
  markStatement,
  previousOf,
  restoreRenames,
  runSwap,
  undoRenames,
  unmarkStatement,
  type PreviousMark,
  type SwapScript,
} from './swap.ts';

/** Once begun a swap comes to an end; this only keeps a dead Docker engine from holding it for ever. */
const SWAP_TIMEOUT_MS = 120_000;
/** How long a statement of a dead process may still run in the server before we look at what it did. */
const SETTLE_MS = 20_000;

export type Connect = (at: TargetRef, signal: AbortSignal) => Promise<Connection>;

/** Restores PostgreSQL databases: loaded beside, compared, swapped by rename. */
export function postgresRestorer(source: string, connect: Connect): Restorer {
  async function discard(
    beside: Pick<Beside, 'run' | 'target'>,
    signal: AbortSignal,
  ): Promise<void> {
    const connection = await connect(beside.target, signal);
    for (const row of await listDatabases(connection, 'restore-failed', signal)) {
      if (
        row.beside === besideMark(runPrefix(connection.run), beside.run) ||
        (row.beside === null && row.name.startsWith(`backupd_${beside.run.toLowerCase()}_`))
      ) {
        await dropDatabase(connection, row.name, signal);
      }
    }
  }

  return {
    async preflight(into, plan, signal) {
      return lookAhead(await connect(into, signal), plan, signal);
    },

    async build(into, plan, journal, signal) {
      await journal.write({
        step: 'building',
        source,
        engine: 'postgres',
        target: into,
        run: plan.run,
      });
      reach('restore-journaled');
      return loadBeside(await connect(into, signal), into, plan, signal);
    },

    async compare(beside, plan, signal) {
      const connection = await connect(beside.target, signal);
      const comparisons = new Map<string, Comparison>();
      for (const database of beside.databases) {
        plan.onProgress({ stage: 'compare', database: database.name });
        const expected = plan.manifest.facts.databases[database.name];
        if (expected !== undefined) {
          comparisons.set(
            database.name,
            await compareDatabase(connection, database.temporary, expected, database.name, signal),
          );
        }
      }
      return comparisons;
    },

    async swap(beside, plan, journal, signal) {
      signal.throwIfAborted();
      for (const database of beside.databases) {
        plan.onProgress({ stage: 'swap', database: database.restoredAs });
      }
      const connection = await connect(beside.target, AbortSignal.timeout(SWAP_TIMEOUT_MS));
      await journal.write({
        step: 'swapping',
        source,
        engine: 'postgres',
        id: plan.manifest.id,
        beside,
      });
      reach('swap-journaled');
      await runSwap(
        connection,
        restoreScript(beside, source),
        AbortSignal.timeout(SWAP_TIMEOUT_MS),
      );
      return previousOf(beside, source, new Date().toISOString());
    },

    async resume(state, signal) {
      const target =
        state.step === 'building'
          ? state.target
          : state.step === 'swapping'
            ? state.beside.target
            : state.previous.target;
      const connection = await connect(target, signal);
      await settleSessions(connection, signal);
      return resumeStep(connection, state, { source, discard }, signal);
    },

    async previous(at, signal) {
      const connection = await connect(at, signal);
      return readPrevious(await listDatabases(connection, 'restore-failed', signal), source, at);
    },

    async undo(previous, journal, signal) {
      signal.throwIfAborted();
      const connection = await connect(previous.target, signal);
      const rows = await listDatabases(connection, 'restore-failed', signal);
      checkUndo(previous, rows);
      const run = undoRun();
      const taken = new Set(rows.map((row) => row.name));
      const keptAs = previous.databases.map((database) => {
        const name = freeName(database.name, run, taken);
        taken.add(name);
        return name;
      });
      await journal.write({ step: 'undoing', source, engine: 'postgres', run, previous, keptAs });
      reach('undo-journaled');
      await runSwap(
        connection,
        undoScript(previous, keptAs, run),
        AbortSignal.timeout(SWAP_TIMEOUT_MS),
      );
      return undone(previous, keptAs, run);
    },

    async dropPrevious(previous, signal) {
      const connection = await connect(previous.target, signal);
      const rows = await listDatabases(connection, 'restore-failed', signal);
      for (const { kept } of previous.databases) {
        const row = rows.find((candidate) => candidate.oid === kept?.id);
        if (row !== undefined && row.previous !== null) {
          await dropDatabase(connection, row.name, signal);
        }
      }
    },

    discard,
  };
}

function restoreScript(beside: Beside, source: string): SwapScript {
  const at = new Date().toISOString();
  const marks = beside.databases.flatMap((database) =>
    database.live === null
      ? []
      : [
          markStatement(database.live.keptAs, {
            run: beside.run,
            source,
            name: database.restoredAs,
            at,
          }),
        ],
  );
  const unmark = beside.databases.map(
    (database) => `alter database ${quoteIdent(database.restoredAs)} reset backupd.beside;`,
  );
  return {
    renames: restoreRenames(beside),
    statements: [...unmark, ...beside.statements, ...marks],
  };
}

function undoScript(previous: Previous, keptAs: readonly string[], run: string): SwapScript {
  const at = new Date().toISOString();
  const statements = previous.databases.flatMap((database, index) => [
    ...(database.kept === null ? [] : [unmarkStatement(database.name)]),
    ...(database.currentId === null
      ? []
      : [
          markStatement(keptAs[index] ?? '', {
            run,
            source: previous.source,
            name: database.name,
            at,
          } satisfies PreviousMark),
        ]),
  ]);
  return { renames: undoRenames(previous.databases, keptAs), statements };
}

/** After an undo what was in use is kept in turn, so that undo twice is redo; what the restore had created is only set aside. */
function undone(previous: Previous, keptAs: readonly string[], run: string): Previous {
  return {
    run,
    source: previous.source,
    engine: 'postgres',
    target: previous.target,
    replacedAt: new Date().toISOString(),
    databases: previous.databases.map((database, index) => ({
      name: database.name,
      currentId: database.kept?.id ?? null,
      kept:
        database.currentId === null ? null : { id: database.currentId, name: keptAs[index] ?? '' },
    })),
  };
}

function undoRun(): string {
  return new Date()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '');
}

async function compareDatabase(
  connection: Connection,
  database: string,
  expected: RestorePlan['manifest']['facts']['databases'][string],
  name: string,
  signal: AbortSignal,
): Promise<Comparison> {
  await using session = await openSession(connection, database, signal);
  await session.run('begin transaction isolation level repeatable read read only');
  const depth = Object.values(expected.tables).some((table) => table.exact)
    ? 'exact'
    : Object.keys(expected.objects).length > 0
      ? 'estimate'
      : 'off';
  const facts = await readFacts(session, { depth, budgetMs: Infinity });
  const sequences = depth === 'off' ? expected.sequences : await readSequences(session);
  return compareFacts(name, expected, { ...facts, sequences });
}

/**
 * Ends everything this source left in the server and waits until it is gone: only then does a look at the names tell the
 * truth. A swap that was sent comes to its own end within seconds, whatever became of its client.
 */
async function settleSessions(connection: Connection, signal: AbortSignal): Promise<void> {
  const prefix = quoteLiteral(applicationPrefix(runPrefix(connection.run)));
  const others = `starts_with(application_name, ${prefix})
    and not starts_with(application_name, ${quoteLiteral(connection.applicationName)})`;
  const sql = `do $backupd$
declare until timestamptz := clock_timestamp() + interval '${SETTLE_MS} milliseconds';
begin
  perform pg_terminate_backend(pid) from pg_stat_activity where ${others} and application_name not like '%:swap';
  while clock_timestamp() < until loop
    perform pg_stat_clear_snapshot();
    exit when not exists (select from pg_stat_activity where ${others});
    perform pg_sleep(0.05);
  end loop;
end $backupd$;`;
  await runSql(
    connection,
    { database: connection.maintenanceDatabase, sql, code: 'restore-failed' },
    signal,
  );
}

interface Resuming {
  readonly source: string;
  readonly discard: (beside: Pick<Beside, 'run' | 'target'>, signal: AbortSignal) => Promise<void>;
}

/** The databases' names say which side of the commit a dead process was on. */
async function resumeStep(
  connection: Connection,
  state: JournalState,
  { source, discard }: Resuming,
  signal: AbortSignal,
): Promise<Previous | null> {
  if (state.step === 'building') {
    await discard(state, signal);
    return null;
  }
  if (state.step === 'swapping') {
    if (await isSwapped(connection, { renames: restoreRenames(state.beside) }, signal)) {
      return previousOf(state.beside, source, new Date().toISOString());
    }
    await discard(state.beside, signal);
    return null;
  }
  const renames = undoRenames(state.previous.databases, state.keptAs);
  return (await isSwapped(connection, { renames }, signal))
    ? undone(state.previous, state.keptAs, state.run)
    : null;
}

/** What the server itself says of kept databases, newest restore first. */
function readPrevious(
  rows: readonly DatabaseRow[],
  source: string,
  at: TargetRef,
): readonly Previous[] {
  const byRun = new Map<string, Previous>();
  for (const row of rows) {
    const mark = row.previous === null ? null : (JSON.parse(row.previous) as PreviousMark);
    if (mark !== null && mark.source === source) {
      const known = byRun.get(mark.run);
      const current = rows.find((candidate) => candidate.name === mark.name);
      const database = {
        name: mark.name,
        currentId: current?.oid ?? null,
        kept: { id: row.oid, name: row.name },
      };
      byRun.set(mark.run, {
        run: mark.run,
        source,
        engine: 'postgres',
        target: at,
        replacedAt: mark.at,
        databases: [...(known?.databases ?? []), database],
      });
    }
  }
  return [...byRun.values()].toSorted((one, other) =>
    other.replacedAt.localeCompare(one.replacedAt),
  );
}

/** An undo is of what the restore left: a database renamed or dropped since is not ours to touch. */
function checkUndo(previous: Previous, rows: readonly DatabaseRow[]): void {
  for (const database of previous.databases) {
    const kept = rows.find((row) => row.oid === database.kept?.id);
    const current = rows.find((row) => row.oid === database.currentId);
    if (database.kept !== null && kept?.name !== database.kept.name) {
      throw new BackupdError(
        'nothing-to-undo',
        `"${database.kept.name}", which the restore kept, is not there any more`,
        {
          hint: 'Somebody dropped or renamed it since.',
        },
      );
    }
    if (database.currentId !== null && current?.name !== database.name) {
      throw new BackupdError(
        'nothing-to-undo',
        `"${database.name}" is not the database that the restore put there`,
        {
          hint: 'Somebody dropped or renamed it since. Rename the databases by hand with ALTER DATABASE ... RENAME TO.',
        },
      );
    }
  }
}

/** Drops what dead restores of this source left beside. The caller holds the source's lock. */
export async function dropLeftBeside(connection: Connection, signal: AbortSignal): Promise<void> {
  for (const row of await listDatabases(connection, 'restore-failed', signal)) {
    if (row.beside?.startsWith(runPrefix(connection.run)) === true) {
      await dropDatabase(connection, row.name, signal);
    }
  }
}

async function dropDatabase(
  connection: Connection,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const quoted = quoteIdent(name);
  // A template cannot be dropped, and the properties of an archive may have made it one.
  const sql = `alter database ${quoted} with is_template false;\ndrop database ${quoted} with (force);`;
  await runSql(
    connection,
    {
      database:
        connection.maintenanceDatabase === name ? 'template1' : connection.maintenanceDatabase,
      sql,
      code: 'restore-failed',
    },
    signal,
  );
}
