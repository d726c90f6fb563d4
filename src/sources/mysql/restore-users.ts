import { text } from 'node:stream/consumers';
import { BackupdError } from '../../core/errors.ts';
import type { Warning } from '../../core/manifest.ts';
import type { RestorePlan } from '../../core/source.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { quoteName, quotePath, quoteText } from './sql.ts';

/** What is to be done about accounts. */
export interface AccountPlan {
  readonly warnings: readonly Warning[];
  /** Grants for the accounts that were made, to be run when what they are on is there; no secrets. */
  readonly statements: readonly string[];
}

const ACCOUNT = '`(?:[^`]|``)*`(?:@`(?:[^`]|``)*`)?';
const CREATE = new RegExp(`^CREATE (?:USER|ROLE) (?<account>${ACCOUNT})`);
const GRANT = new RegExp(
  `^(?:GRANT|REVOKE) [^]* (?:TO|FROM) (?<account>${ACCOUNT})(?: WITH [A-Z ]+)?$`,
);
const DEFAULT_ROLE = new RegExp(`^SET DEFAULT ROLE [^]* TO (?<account>${ACCOUNT})$`);

/**
 * Makes the accounts of the backup that are missing; what exists is left alone, passwords and grants included.
 * @returns what remains to be granted
 */
export async function createMissingAccounts(
  connection: Connection,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<AccountPlan> {
  const file = plan.manifest.files.find(({ name }) => name.startsWith('users.sql'));
  if (file === undefined) {
    return { warnings: [], statements: [] };
  }
  const statements = (await text(plan.open(file, signal)))
    .split(';\n')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '' && !statement.startsWith('--'));
  const existing = await listAccounts(connection, signal);
  const missing = new Set<string>();
  const warnings: Warning[] = [];
  for (const statement of statements) {
    const account = CREATE.exec(statement)?.groups?.['account'];
    if (account !== undefined && !existing.has(account)) {
      const refused = await tryStatement(connection, statement, signal);
      if (refused === null) {
        missing.add(account);
      } else {
        warnings.push({
          code: 'account-skipped',
          message: `account ${account} could not be made: ${refused}`,
        });
      }
    }
  }
  const lost = await lostRoutines(connection, plan, statements, signal);
  return {
    warnings,
    statements: statements.filter((statement) => {
      const found = GRANT.exec(statement) ?? DEFAULT_ROLE.exec(statement);
      const account = found?.groups?.['account'] ?? '';
      return missing.has(account) || (existing.has(account) && lost.has(statement));
    }),
  };
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
