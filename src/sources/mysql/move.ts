import { BackupdError } from '../../core/errors.ts';
import { reach } from '../../core/steps.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { charactersFor } from './characters.ts';
import { hasMoved, type Prepared } from './exchange.ts';
import { KEPT_TABLE, NEXT_TABLE } from './marks.ts';
import { holdRun } from './run-lock.ts';
import { createScript, inAnyDatabase } from './objects.ts';
import { quoteName, quotePath } from './sql.ts';
import { createMissingTriggers } from './triggers.ts';

/** How long the move waits for others' locks; readers of the tables wait with it. */
const LOCK_WAIT_S = 5;
const TRIES = 3;
/** ER_LOCK_WAIT_TIMEOUT; messages may be in any language. */
const LOCK_WAIT = /\bERROR 1205\b/;

/**
 * Moves the tables of all exchanges in one atomic statement: what is in use goes, what comes takes its place, whatever dies.
 * @throws BackupdError `target-in-use` where open transactions do not end in time, `restore-failed` where the server
 *   refuses; nothing is changed then
 */
export async function move(
  connection: Connection,
  prepared: readonly Prepared[],
  signal: AbortSignal,
): Promise<void> {
  const [first] = prepared;
  if (first === undefined) {
    return;
  }
  const sql = connection.flavour === 'mysql' ? lockedScript(prepared) : plainScript(prepared);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const sent = query(connection, { sql, code: 'restore-failed' }, signal);
      reach('swap-sent');
      await sent;
      return;
    } catch (error) {
      if (await hasMoved(connection, first.exchange, signal)) {
        // What follows it makes what the script did not come to.
        return;
      }
      for (const { exchange, kept } of prepared) {
        await createMissingTriggers(connection, exchange.name, kept.objects.old, signal);
      }
      if (!(error instanceof BackupdError) || !LOCK_WAIT.test(error.message)) {
        throw error;
      }
      if (attempt === TRIES) {
        throw new BackupdError(
          'target-in-use',
          `tables could not be swapped: others hold locks on them${await openTransactions(connection, signal)}`,
          {
            cause: error,
            hint: 'End the transactions that are open (or stop what holds them), then run the command again.',
          },
        );
      }
    }
  }
}

/** MariaDB: one statement, which waits for its locks by itself. Tables with triggers are at the door already. */
function plainScript(prepared: readonly Prepared[]): Buffer {
  return Buffer.from(
    `${holdRun(runOf(prepared))}\nset session lock_wait_timeout = ${LOCK_WAIT_S};\n${renameStatement(prepared)};\n`,
  );
}

/** MySQL renames under LOCK TABLES, so triggers are dropped and made while nobody can write. */
function lockedScript(prepared: readonly Prepared[]): Buffer {
  const locked = prepared.flatMap(({ exchange, tables, kept }) => [
    ...without(tables.outgoing, kept.mark.apart.outgoing).map((table) =>
      quotePath(exchange.name, table),
    ),
    ...without(tables.incoming, kept.mark.apart.incoming).map((table) =>
      quotePath(exchange.incoming, table),
    ),
    quotePath(exchange.incoming, NEXT_TABLE),
  ]);
  const dropped = prepared.flatMap(({ exchange, kept }) =>
    kept.objects.old
      .filter(({ kind }) => kind === 'trigger')
      .map(({ name }) => `drop trigger ${quotePath(exchange.name, name)};\n`),
  );
  const triggers = prepared.map(({ exchange, kept }) => ({
    exchange,
    characters: charactersFor(exchange.name, kept, 'new'),
    made: kept.objects.new.filter(({ kind, table }) => kind === 'trigger' && !isApart(kept, table)),
  }));
  const created = triggers.flatMap(({ exchange, made }) => [
    Buffer.from(`use ${quoteName(exchange.name)};\n`),
    ...made.map((trigger) => Buffer.from(createScript(inAnyDatabase(trigger)), 'latin1')),
  ]);
  return Buffer.concat([
    Buffer.from(
      [
        holdRun(runOf(prepared)),
        `set session lock_wait_timeout = ${LOCK_WAIT_S};`,
        // What a trigger keeps of its database cannot be changed under the lock.
        ...triggers.flatMap(({ exchange, made, characters }) => {
          const kept = made[0]?.settings['database'];
          return kept === undefined
            ? characters
            : [`alter database ${quoteName(exchange.name)} ${kept};`];
        }),
        `lock tables ${locked.map((path) => `${path} write`).join(', ')};`,
        ...dropped,
        `${renameStatement(prepared)};`,
        '',
      ].join('\n'),
    ),
    ...created,
    Buffer.from('unlock tables;\n'),
  ]);
}

function isApart({ mark }: Prepared['kept'], table: string | null): boolean {
  return mark.apart.incoming.some((one) => one === table);
}

function renameStatement(prepared: readonly Prepared[]): string {
  const renames = prepared.flatMap((one) => renamesOf(one)).map(([from, to]) => `${from} to ${to}`);
  return `rename table ${renames.join(', ')}`;
}

function runOf([first]: readonly Prepared[]): string {
  return first?.exchange.run ?? '';
}

/** From path to path. What goes makes room first; the mark goes last. */
function renamesOf({ exchange, kept, tables }: Prepared): readonly (readonly [string, string])[] {
  const { name, incoming, outgoing } = exchange;
  const { hidden, apart } = kept.mark;
  const leaving = new Map(hidden.outgoing.map((one) => [one.table, one.hidden]));
  const coming = new Map(hidden.incoming.map((one) => [one.table, one.hidden]));
  return [
    ...without(tables.outgoing, apart.outgoing).map((table) => {
      const door = leaving.get(table);
      const to = door === undefined ? quotePath(outgoing ?? '', table) : quotePath(name, door);
      return [quotePath(name, table), to] as const;
    }),
    ...without(tables.incoming, apart.incoming).map((table) => {
      const door = coming.get(table);
      const from = door === undefined ? quotePath(incoming, table) : quotePath(name, door);
      return [from, quotePath(name, table)] as const;
    }),
    [quotePath(incoming, NEXT_TABLE), quotePath(outgoing ?? name, KEPT_TABLE)],
  ];
}

function without(tables: readonly string[], left: readonly string[]): readonly string[] {
  return tables.filter((table) => !left.includes(table));
}

/** Who may hold the locks, as far as that can be told. */
async function openTransactions(connection: Connection, signal: AbortSignal): Promise<string> {
  const rows = await query(
    connection,
    {
      sql: `select t.trx_mysql_thread_id, ifnull(p.user, '?'), ifnull(p.host, '?'), t.trx_started
        from information_schema.innodb_trx t left join information_schema.processlist p on p.id = t.trx_mysql_thread_id
        order by t.trx_started limit 5;`,
      code: 'restore-failed',
    },
    signal,
  ).catch(() => []);
  const named = rows.map(
    ([id, user, host, since]) => `connection ${id} of "${user}" from ${host} since ${since}`,
  );
  return named.length === 0 ? '' : `; transactions that are open: ${named.join(', ')}`;
}
