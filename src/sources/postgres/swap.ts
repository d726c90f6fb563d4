import { BackupdError } from '../../core/errors.ts';
import { reach } from '../../core/steps.ts';
import type { Beside, Previous, PreviousDatabase } from '../../core/restorer.ts';
import type { Connection } from './connection.ts';
import { PREVIOUS_SETTING, type PreviousMark } from './databases.ts';
import { queryJson, runSql } from './session.ts';
import { quoteIdent, quoteLiteral } from './sql.ts';

/** One rename of a swap. */
export interface Rename {
  readonly id: string;
  readonly from: string;
  readonly to: string;
}

export interface SwapScript {
  readonly renames: readonly Rename[];
  /** Run after the renames, in the same transaction. */
  readonly statements: readonly string[];
}

/** Once begun a swap comes to an end; this only keeps a dead Docker engine from holding it for ever. */
export const SWAP_TIMEOUT_MS = 120_000;

/** Tries before a swap gives up on others' locks; each waits seconds, and clients wait with it. */
const TRIES = 3;

/**
 * Renames databases and sets their properties in one transaction: wholly or not at all, whatever dies.
 * The lock comes first and the sessions are ended while it is held, so that nobody can reconnect in between: ending them
 * first, or inside the same transaction, failed with clients that reconnect in a loop (measured).
 * @throws BackupdError `target-in-use` where sessions could not be ended in time, `restore-failed` where the server
 * refuses; nothing is changed then.
 */
export async function runSwap(
  connection: Connection,
  script: SwapScript,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await trySwap(connection, script, signal);
      return;
    } catch (error) {
      if (await isSwapped(connection, script, signal)) {
        return;
      }
      if (!(error instanceof BackupdError) || !IN_USE.test(error.message)) {
        throw error;
      }
      if (attempt === TRIES) {
        throw new BackupdError(
          'target-in-use',
          `the databases could not be swapped: ${error.message}`,
          {
            cause: error,
            hint: 'Stop what uses the database (also its prepared transactions), then run the command again.',
          },
        );
      }
    }
  }
}

/** What the server says where it could not get the database for itself (lock_timeout, statement_timeout, SQLSTATE 55006). */
const IN_USE = /lock timeout|statement timeout|is being accessed by other users/;

async function trySwap(
  connection: Connection,
  script: SwapScript,
  signal: AbortSignal,
): Promise<void> {
  const database = workDatabase(connection, script.renames);
  const swapping = swapName(connection);
  const terminator = terminatorSql(swapping, script.renames);
  const sent = runSql(
    connection,
    { database, sql: transactionSql(swapping, script), code: 'restore-failed' },
    signal,
  );
  reach('swap-sent');
  const [swapped] = await Promise.allSettled([
    sent,
    // Only helps: whether it worked, the swap itself tells.
    runSql(connection, { database, sql: terminator, code: 'restore-failed' }, signal),
  ]);
  if (swapped.status === 'rejected') {
    throw swapped.reason;
  }
}

/** A database cannot be renamed from within. */
function workDatabase(connection: Connection, renames: readonly Rename[]): string {
  const renamed = new Set(renames.flatMap((rename) => [rename.from, rename.to]));
  return renamed.has(connection.maintenanceDatabase) ? 'template1' : connection.maintenanceDatabase;
}

/** What the session that swaps calls itself, so that the one beside it knows whose lock to wait for. */
function swapName(connection: Connection): string {
  return `${connection.applicationName}:swap`;
}

function transactionSql(applicationName: string, script: SwapScript): string {
  const checks = script.renames.map(
    (
      rename,
    ) => `if not exists (select from pg_database where oid = ${rename.id} and datname = ${quoteLiteral(rename.from)}) then
    raise exception 'database % has changed', ${quoteLiteral(rename.from)}; end if;`,
  );
  return [
    `set application_name = ${quoteLiteral(applicationName)};`,
    'begin read write;',
    `set local lock_timeout = '3s'; set local statement_timeout = '8s';`,
    `set local idle_in_transaction_session_timeout = '10s';`,
    // A dead synchronous standby would let COMMIT hang while nobody can log in.
    'set local synchronous_commit = local;',
    `do $backupd$ begin ${checks.join('\n')} end $backupd$;`,
    ...script.renames.map(
      (rename) => `alter database ${quoteIdent(rename.from)} rename to ${quoteIdent(rename.to)};`,
    ),
    ...script.statements,
    'commit;',
  ].join('\n');
}

/**
 * Ends the sessions of these databases while the swapping session holds their lock; ends itself when the swap is seen
 * done, or its session gone.
 */
function terminatorSql(applicationName: string, renames: readonly Rename[]): string {
  const oids = `array[${renames.map((rename) => rename.id).join(',')}]::oid[]`;
  const swapping = `application_name = ${quoteLiteral(applicationName)}`;
  const [first] = renames;
  return `do $backupd$
declare
  until timestamptz := clock_timestamp() + interval '12 seconds';
  seen boolean := false;
begin
  while clock_timestamp() < until loop
    perform pg_stat_clear_snapshot();
    exit when not exists (select from pg_database where oid = ${first?.id ?? 0} and datname = ${quoteLiteral(first?.from ?? '')});
    if exists (select from pg_stat_activity where ${swapping}) then seen := true; elsif seen then exit; end if;
    perform pg_terminate_backend(a.pid) from pg_stat_activity a
      where a.datid = any (${oids}) and a.pid <> pg_backend_pid() and a.datid in (
        select l.objid from pg_locks l join pg_stat_activity o on o.pid = l.pid
        where l.locktype = 'object' and l.classid = 'pg_database'::regclass and l.mode = 'AccessExclusiveLock' and l.granted
          and o.${swapping});
    perform pg_sleep(0.005);
  end loop;
end $backupd$;`;
}

/** Whether every rename of a script is done; a client that died does not tell. */
export async function isSwapped(
  connection: Connection,
  script: Pick<SwapScript, 'renames'>,
  signal: AbortSignal,
): Promise<boolean> {
  const names = await databaseNames(connection, signal);
  return script.renames.every((rename) => names.get(rename.id) === rename.to);
}

/** Names by OID. */
async function databaseNames(
  connection: Connection,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const rows = await queryJson<[string, string]>(
    connection,
    {
      database: connection.maintenanceDatabase,
      sql: 'select json_build_array(oid::text, datname) from pg_database',
      code: 'restore-failed',
    },
    signal,
  );
  return new Map(rows);
}

/** The renames of a restore: what is there makes room, then what was loaded takes its name. */
export function restoreRenames(beside: Pick<Beside, 'databases'>): readonly Rename[] {
  return beside.databases.flatMap((database) => [
    ...(database.live === null
      ? []
      : [{ id: database.live.id, from: database.restoredAs, to: database.live.keptAs }]),
    { id: database.temporaryId, from: database.temporary, to: database.restoredAs },
  ]);
}

/** The renames of an undo: what is in use makes room under `keptAs`, then what was kept takes its name. */
export function undoRenames(
  databases: readonly PreviousDatabase[],
  keptAs: readonly string[],
): readonly Rename[] {
  return databases.flatMap((database, index) => [
    ...(database.currentId === null
      ? []
      : [{ id: database.currentId, from: database.name, to: keptAs[index] ?? '' }]),
    ...(database.kept === null
      ? []
      : [{ id: database.kept.id, from: database.kept.name, to: database.name }]),
  ]);
}

/** The statement that marks a kept database. */
export function markStatement(name: string, mark: Omit<PreviousMark, 'keptAs'>): string {
  const whole: PreviousMark = { ...mark, keptAs: name };
  return `alter database ${quoteIdent(name)} set ${PREVIOUS_SETTING} = ${quoteLiteral(JSON.stringify(whole))};`;
}

/** The statement that makes a kept database an ordinary one again. */
export function unmarkStatement(name: string): string {
  return `alter database ${quoteIdent(name)} reset ${PREVIOUS_SETTING};`;
}

/** What a swap of this restore leaves behind. */
export function previousOf(beside: Beside, source: string, replacedAt: string): Previous {
  return {
    run: beside.run,
    source,
    engine: 'postgres',
    target: beside.target,
    replacedAt,
    databases: beside.databases.map((database) => ({
      name: database.restoredAs,
      currentId: database.temporaryId,
      kept: database.live === null ? null : { id: database.live.id, name: database.live.keptAs },
    })),
  };
}
