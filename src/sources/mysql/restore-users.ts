import { text } from 'node:stream/consumers';
import { BackupdError } from '../../core/errors.ts';
import type { Warning } from '../../core/manifest.ts';
import type { RestorePlan } from '../../core/restorer.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { quoteName, quotePath, quoteText } from './sql.ts';

/** What is to be done about accounts. */
export interface AccountPlan {
  /** Those to be made, with the statement that makes them, which may hold the hash of a password. */
  readonly missing: readonly { readonly account: string; readonly statement: string }[];
  /** Grants for them, to be run when what they are on is there; no secrets. */
  readonly statements: readonly string[];
}

const ACCOUNT = '`(?:[^`]|``)*`(?:@`(?:[^`]|``)*`)?';
const CREATE = new RegExp(`^CREATE (?:USER|ROLE) (?<account>${ACCOUNT})`);
const GRANT = new RegExp(
  `^(?:GRANT|REVOKE) [^]* (?:TO|FROM) (?<account>${ACCOUNT})(?: WITH [A-Z ]+)?$`,
);
const DEFAULT_ROLE = new RegExp(`^SET DEFAULT ROLE [^]* TO (?<account>${ACCOUNT})$`);

/** Looks which accounts of the backup are missing; what exists is left alone, passwords and grants included. */
export async function planAccounts(
  connection: Connection,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<AccountPlan> {
  const file = plan.manifest.files.find(({ name }) => name.startsWith('users.sql'));
  if (file === undefined) {
    return { missing: [], statements: [] };
  }
  const statements = (await text(plan.open(file, signal)))
    .split(';\n')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '' && !statement.startsWith('--'));
  const existing = await listAccounts(connection, signal);
  const missing = statements.flatMap((statement) => {
    const account = CREATE.exec(statement)?.groups?.['account'];
    return account === undefined || existing.has(account) ? [] : [{ account, statement }];
  });
  const lost = await lostRoutines(connection, plan, statements, signal);
  return {
    missing,
    statements: statements.filter((statement) => {
      const found = GRANT.exec(statement) ?? DEFAULT_ROLE.exec(statement);
      const grantee = found?.groups?.['account'] ?? '';
      return (
        missing.some(({ account }) => account === grantee) ||
        (existing.has(grantee) && lost.has(statement))
      );
    }),
  };
}

/** Makes accounts. @returns what was refused, as warnings: a restore goes on without them */
export async function makeAccounts(
  connection: Connection,
  { missing }: Pick<AccountPlan, 'missing'>,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const warnings: Warning[] = [];
  for (const { account, statement } of missing) {
    const refused = await tryStatement(connection, statement, signal);
    if (refused !== null) {
      warnings.push({
        code: 'account-skipped',
        message: `account ${account} could not be made: ${refused}`,
      });
    }
  }
  return warnings;
}

/** Drops accounts that a restore made which was given up: the next one would take them for the user's own, and grant them nothing. */
export async function dropAccounts(
  connection: Connection,
  accounts: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const account of accounts) {
    const kind = connection.flavour === 'mariadb' && !account.includes('`@`') ? 'role' : 'user';
    const sql = `drop ${kind} if exists ${account};`;
    await query(connection, { sql, code: 'restore-failed' }, signal);
  }
}

const ON_ROUTINE =
  /^GRANT [^]* ON (?:PROCEDURE|FUNCTION) (?<path>`(?:[^`]|``)*`\.`(?:[^`]|``)*`) TO /;

/** Grants on routines that are gone, and their grants with them, from databases that are restored under their own name. */
async function lostRoutines(
  connection: Connection,
  plan: RestorePlan,
  statements: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const own = plan.databases.filter(({ name, restoredAs }) => name === restoredAs);
  const list = own.map(({ name }) => quoteText(name)).join(', ');
  const rows =
    own.length === 0
      ? []
      : await query(
          connection,
          {
            sql: `select routine_schema, routine_name from information_schema.routines where routine_schema in (${list});`,
            code: 'restore-failed',
          },
          signal,
        );
  const there = new Set(rows.map(([schema = '', name = '']) => quotePath(schema, name)));
  return new Set(
    statements.filter((statement) => {
      const path = ON_ROUTINE.exec(statement)?.groups?.['path'] ?? '';
      const isOwn = own.some(({ name }) => path.startsWith(`${quoteName(name)}.`));
      return isOwn && !there.has(path);
    }),
  );
}

/** Runs what remains after the swap. @returns what was refused, as warnings: a restore goes on without it */
export async function grantAll(
  connection: Connection,
  statements: readonly string[],
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const warnings: Warning[] = [];
  for (const statement of statements) {
    const refused = await tryStatement(connection, statement, signal);
    if (refused !== null) {
      warnings.push({ code: 'grant-skipped', message: `${statement}: ${refused}` });
    }
  }
  return warnings;
}

async function listAccounts(
  connection: Connection,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const isRole = connection.flavour === 'mariadb' ? 'is_role' : "'N'";
  const quoted = "concat('`', replace(?, '`', '``'), '`')";
  const [user, host] = [quoted.replace('?', 'user'), quoted.replace('?', 'host')];
  const rows = await query(
    connection,
    {
      sql: `select if(${isRole} = 'Y', ${user}, concat(${user}, '@', ${host})) from mysql.user;`,
      code: 'restore-failed',
    },
    signal,
  );
  return new Set(rows.map(([account = '']) => account));
}

/** Null where it was carried out; else what the server said. */
async function tryStatement(
  connection: Connection,
  statement: string,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    await query(connection, { sql: `${statement};`, code: 'restore-failed' }, signal);
    return null;
  } catch (error) {
    if (!(error instanceof BackupdError) || error.code !== 'restore-failed') {
      throw error;
    }
    // What it is near to may be a password's hash.
    return error.message.replace(/ near '[^]*/, '');
  }
}
