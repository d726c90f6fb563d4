import { createHash } from 'node:crypto';
import type { Mysql } from './mysql.ts';

/**
 * What a MySQL or MariaDB server holds, to be compared with `toEqual` before and after. Independent of what backupd records:
 * what the server itself shows of every object, and every row.
 */
export interface MysqlFingerprint {
  /** Accounts and roles with what they may, root's secret left out. */
  readonly accounts: readonly string[];
  readonly databases: Readonly<Record<string, readonly string[]>>;
}

const SYSTEM = "('mysql', 'sys', 'performance_schema', 'information_schema')";
const NO_SYSTEM_USERS =
  "user not in ('root', 'mysql.sys', 'mysql.session', 'mysql.infoschema', 'mariadb.sys', 'healthcheck', 'PUBLIC', '')";

/** Every database but the server's own and what a restore kept (its name contains `_before_`), without some tables. */
export async function fingerprintMysql(
  server: Mysql,
  { but = [] }: { readonly but?: readonly string[] } = {},
): Promise<MysqlFingerprint> {
  const names = await listDatabases(server);
  const databases: Record<string, readonly string[]> = {};
  for (const name of names.filter((one) => !one.includes('_before_'))) {
    databases[name] = await lookInto(server, name, but);
  }
  return { accounts: await lookAtAccounts(server), databases };
}

/** Every database but the server's own, raw. */
export async function listDatabases(server: Mysql): Promise<readonly string[]> {
  return lines(
    await server.sql(
      `select schema_name from information_schema.schemata where schema_name not in ${SYSTEM} order by 1`,
      'mysql',
    ),
  ).map((name) => plain(name));
}

/** A value that the client has escaped, so that it is in one line. */
function plain(value: string): string {
  return value.replaceAll(/\\(.)/g, (_all, escaped: string) => ESCAPED[escaped] ?? escaped);
}

const ESCAPED: Readonly<Record<string, string>> = { n: '\n', t: '\t', 0: '\0' };

function lines(text: string): readonly string[] {
  return text === '' ? [] : text.split('\n');
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

async function lookInto(
  server: Mysql,
  name: string,
  but: readonly string[],
): Promise<readonly string[]> {
  const own = `= x'${Buffer.from(name).toString('hex')}'`;
  const objects = lines(
    await server.sql(
      `select 'table', table_name from information_schema.tables where table_schema ${own} and table_type = 'BASE TABLE'
      union all select 'sequence', table_name from information_schema.tables where table_schema ${own} and table_type = 'SEQUENCE'
      union all select 'view', table_name from information_schema.views where table_schema ${own}
      union all select routine_type, routine_name from information_schema.routines where routine_schema ${own}
      union all select 'event', event_name from information_schema.events where event_schema ${own}
      order by 1, 2`,
      'mysql',
    ),
  )
    .map((line) => line.split('\t').map((value) => plain(value)) as [string, string])
    .filter(([, object]) => !but.includes(object));
  const columns = await listColumns(server, own);
  const questions = [
    `select default_character_set_name, default_collation_name from information_schema.schemata where schema_name ${own}`,
    // The order of triggers, their mode and character sets, all but when they were made.
    `select trigger_name, event_manipulation, event_object_table, action_order, action_timing, action_statement, sql_mode, definer,
      character_set_client, collation_connection, database_collation from information_schema.triggers
      where trigger_schema ${own} order by trigger_name`,
    `select constraint_name, table_name, constraint_type from information_schema.table_constraints
      where constraint_schema ${own} order by 1, 2`,
    ...objects.map(([kind, object]) => `show create ${kind} ${quoted(object)}`),
    ...objects.flatMap(([kind, object]) => rowsOf(kind, object, columns.get(object) ?? [])),
  ];
  return ask(server, name, questions);
}

async function listColumns(
  server: Mysql,
  own: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  const rows = await server.sql(
    `select table_name, column_name from information_schema.columns where table_schema ${own} order by table_name, ordinal_position`,
    'mysql',
  );
  for (const [table = '', column = ''] of lines(rows).map((line) =>
    line.split('\t').map((value) => plain(value)),
  )) {
    found.set(table, [...(found.get(table) ?? []), column]);
  }
  return found;
}

function rowsOf(kind: string, object: string, columns: readonly string[]): readonly string[] {
  if (kind === 'sequence') {
    return [`select next_not_cached_value, cycle_count from ${quoted(object)}`];
  }
  const list = columns.map((column) => `hex(${quoted(column)})`).join(', ');
  return kind === 'table' ? [`select ${list} from ${quoted(object)}`] : [];
}

const SEPARATOR = '---- next ----';

/** The answers, one a question, their lines in an order of their own (tables need not have a key), long ones as a digest. */
async function ask(
  server: Mysql,
  database: string,
  questions: readonly string[],
): Promise<readonly string[]> {
  const script = questions.map((question) => `${question};\nselect '${SEPARATOR}';\n`).join('');
  const answers = (await server.sql(script, database)).split(`${SEPARATOR}\n`);
  return answers.map((answer) => {
    const own = lines(answer.replace(SEPARATOR, '').replaceAll(`${quoted(database)}.`, '')).map(
      // Columns of a grant have no order.
      (line) =>
        line.startsWith('GRANT ')
          ? line.replace(/\(([^)]*)\)/, (_all, list: string) => list.split(', ').toSorted().join())
          : line,
    );
    const sorted = own.toSorted().join('\n');
    return sorted.length > 20_000
      ? `${own.length} ${createHash('sha256').update(sorted).digest('hex')}`
      : sorted;
  });
}

async function lookAtAccounts(server: Mysql): Promise<readonly string[]> {
  const isRole = server.client === 'mariadb' ? 'is_role' : "'N'";
  const accounts = lines(
    await server.sql(
      `select user, host, ${isRole} from mysql.user where ${NO_SYSTEM_USERS} order by 1, 2`,
      'mysql',
    ),
  ).map((line) => line.split('\t') as [string, string, string]);
  return ask(
    server,
    'mysql',
    accounts.flatMap(([user, host, role]) =>
      role === 'Y'
        ? [`show grants for ${quoted(user)}`]
        : [
            `show create user ${quoted(user)}@${quoted(host)}`,
            `show grants for ${quoted(user)}@${quoted(host)}`,
          ],
    ),
  );
}
