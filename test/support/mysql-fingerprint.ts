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

/** Every database but the server's own and what a restore kept (its name contains `_before_`). */
export async function fingerprintMysql(server: Mysql): Promise<MysqlFingerprint> {
  const names = await listDatabases(server);
  const databases: Record<string, readonly string[]> = {};
  for (const name of names.filter((one) => !one.includes('_before_'))) {
    databases[name] = await lookInto(server, name);
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
  );
}

function lines(text: string): readonly string[] {
  return text === '' ? [] : text.split('\n');
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

async function lookInto(server: Mysql, name: string): Promise<readonly string[]> {
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
  ).map((line) => line.split('\t') as [string, string]);
  const shown: string[] = [
    await server.sql(
      `select default_character_set_name, default_collation_name from information_schema.schemata where schema_name ${own}`,
      'mysql',
    ),
    // The order of triggers, their mode and character sets, all but when they were made.
    await server.sql(
      `select trigger_name, event_manipulation, event_object_table, action_order, action_timing, action_statement, sql_mode,
        definer, character_set_client, collation_connection from information_schema.triggers
        where trigger_schema ${own} order by trigger_name`,
      'mysql',
    ),
    await server.sql(
      `select constraint_name, table_name, constraint_type from information_schema.table_constraints
        where constraint_schema ${own} order by 1, 2`,
      'mysql',
    ),
  ];
  for (const [kind, object] of objects) {
    const create = await server.sql(`show create ${kind} ${quoted(object)}`, name);
    // Its own name is not part of it: a copy is to be equal.
    shown.push(`${kind} ${object}: ${create.replaceAll(`${quoted(name)}.`, '')}`);
    if (kind === 'table') {
      shown.push(`${object}: ${await hashRows(server, name, object)}`);
    } else if (kind === 'sequence') {
      shown.push(
        `${object}: ${await server.sql(`select next_not_cached_value, cycle_count from ${quoted(object)}`, name)}`,
      );
    }
  }
  return shown;
}

/** Of all rows in an order of their own: tables need not have a key. */
async function hashRows(server: Mysql, database: string, table: string): Promise<string> {
  const columns = lines(
    await server.sql(
      `select column_name from information_schema.columns where table_schema = x'${Buffer.from(database).toString('hex')}'
        and table_name = x'${Buffer.from(table).toString('hex')}' order by ordinal_position`,
      'mysql',
    ),
  );
  const list = columns.map((column) => `hex(${quoted(column)})`).join(', ');
  const rows = lines(await server.sql(`select ${list} from ${quoted(table)}`, database));
  return `${rows.length} ${createHash('sha256').update(rows.toSorted().join('\n')).digest('hex')}`;
}

async function lookAtAccounts(server: Mysql): Promise<readonly string[]> {
  const isRole = server.client === 'mariadb' ? 'is_role' : "'N'";
  const accounts = lines(
    await server.sql(
      `select user, host, ${isRole} from mysql.user where ${NO_SYSTEM_USERS} order by 1, 2`,
      'mysql',
    ),
  ).map((line) => line.split('\t') as [string, string, string]);
  const shown: string[] = [];
  for (const [user, host, role] of accounts) {
    const name = role === 'Y' ? quoted(user) : `${quoted(user)}@${quoted(host)}`;
    const create = role === 'Y' ? '' : `show create user ${name};`;
    shown.push(await server.sql(`${create} show grants for ${name}`, 'mysql'));
  }
  return shown;
}
