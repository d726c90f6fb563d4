import { text } from 'node:stream/consumers';
import { BackupdError } from '../../core/errors.ts';
import type { Warning } from '../../core/manifest.ts';
import type { RestorePlan } from '../../core/source.ts';
import { query, type Connection } from './connection.ts';

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
  return {
    warnings,
    statements: statements.filter((statement) => {
      const found = GRANT.exec(statement) ?? DEFAULT_ROLE.exec(statement);
      return missing.has(found?.groups?.['account'] ?? '');
    }),
  };
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
