import { COMPLETE_LINE } from '../sql-text.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { quoteName } from './sql.ts';

/** An account or a role of a server. */
interface Account {
  readonly user: string;
  readonly host: string;
  /** Of MariaDB: it has no host and no password. MySQL's roles are accounts that are locked. */
  readonly isRole: boolean;
}

/** Made by the servers and their images themselves, and different on each. */
const SYSTEM = [
  'root',
  'mariadb.sys',
  'mysql.sys',
  'mysql.session',
  'mysql.infoschema',
  'healthcheck',
  'PUBLIC',
];

/**
 * The accounts, roles and grants of a server as statements that make them: first all accounts, then what they may, then
 * their default roles. Nothing of the accounts that a server has by itself.
 */
export async function dumpUsers(connection: Connection, signal: AbortSignal): Promise<string> {
  const accounts = await listAccounts(connection, signal);
  const created: string[] = [];
  const granted: string[] = [];
  for (const account of accounts) {
    const statements = await readAccount(connection, account, signal);
    created.push(...statements.created);
    granted.push(...statements.granted);
  }
  return (
    [...created, ...granted].map((statement) => `${statement};\n`).join('') + `\n${COMPLETE_LINE}`
  );
}

async function listAccounts(
  connection: Connection,
  signal: AbortSignal,
): Promise<readonly Account[]> {
  const isRole = connection.flavour === 'mariadb' ? 'is_role' : "'N'";
  const rows = await query(
    connection,
    {
      sql: `select user, host, ${isRole} from mysql.user order by ${isRole} desc, user, host;`,
      code: 'dump-failed',
    },
    signal,
  );
  return rows
    .map(([user = '', host = '', role]) => ({ user, host, isRole: role === 'Y' }))
    .filter(({ user }) => !SYSTEM.includes(user));
}

interface Statements {
  readonly created: readonly string[];
  readonly granted: readonly string[];
}

async function readAccount(
  connection: Connection,
  account: Account,
  signal: AbortSignal,
): Promise<Statements> {
  const name = nameOf(account);
  const show = account.isRole ? '' : `show create user ${name};`;
  const rows = await query(
    connection,
    {
      sql: `/*!80000 set session print_identified_with_as_hex = 1 */; ${show} show grants for ${name};`,
      code: 'dump-failed',
    },
    signal,
  );
  const lines = rows.map(([line = '']) => line);
  const create = account.isRole ? `CREATE ROLE ${name}` : (lines.shift() ?? '');
  const { statement, defaultRoles } = withoutDefaultRoles(create);
  const grants = lines.map((line) => withoutLogin(line, name));
  return {
    created: [statement],
    granted: [
      ...grants,
      ...(defaultRoles === null ? [] : [`SET DEFAULT ROLE ${defaultRoles} TO ${name}`]),
    ],
  };
}

function nameOf({ user, host, isRole }: Account): string {
  return isRole ? quoteName(user) : `${quoteName(user)}@${quoteName(host)}`;
}

/** MySQL names default roles where the account is made, when it has none yet. */
function withoutDefaultRoles(create: string): {
  readonly statement: string;
  readonly defaultRoles: string | null;
} {
  const name = '`(?:[^`]|``)*`@`(?:[^`]|``)*`';
  const found = new RegExp(
    `^(CREATE USER ${name}.*?) DEFAULT ROLE (${name}(?:, ?${name})*)(?= REQUIRE )`,
    's',
  ).exec(create);
  const [whole = '', before = '', defaultRoles = null] = found ?? [];
  return found === null
    ? { statement: create, defaultRoles: null }
    : { statement: before + create.slice(whole.length), defaultRoles };
}

/** MariaDB repeats password, TLS and limits in the grant, where they would change an account that is there already. */
function withoutLogin(grant: string, name: string): string {
  const at = grant.lastIndexOf(` TO ${name} `);
  if (!grant.startsWith('GRANT ') || at === -1) {
    return grant;
  }
  const end = at + ` TO ${name}`.length;
  const rest = grant.slice(end).replaceAll(/'(?:[^'\\]|\\.|'')*'/g, '');
  const may = ['GRANT OPTION', 'ADMIN OPTION'].find((option) => rest.includes(option));
  return grant.slice(0, end) + (may === undefined ? '' : ` WITH ${may}`);
}
