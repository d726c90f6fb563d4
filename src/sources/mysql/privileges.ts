import type { Warning } from '../../core/manifest.ts';
import type { Problem } from '../../core/restorer.ts';
import type { Connection, Flavour } from './connection.ts';
import { query } from './query.ts';

/** A GRANT on everything or on all of a database. */
interface Grant {
  readonly privileges: ReadonlySet<string>;
  /** The database as it is written in a grant, where `_` and `%` are wildcards; null: all. */
  readonly database: string | null;
}

/** What an account may do, as far as a dump depends on it. */
export type Privileges = readonly Grant[];

const GRANT =
  /^GRANT (?<privileges>.+?) ON (?:\*\.\*|`(?<database>(?:[^`]|``)+)`\.(?:\*|`proc`)) TO /;

/** What the dump tools leave out without a word where the right to see it is missing, and any right of which one will do. */
const NEEDED: readonly (readonly [string, readonly string[]])[] = [
  ['triggers', ['TRIGGER']],
  ['events', ['EVENT']],
  ['routines', ['SHOW_ROUTINE', 'SHOW CREATE ROUTINE']],
];

/** Reads what the account of a connection may do, also by the roles that are active. */
export async function readPrivileges(
  connection: Connection,
  signal: AbortSignal,
): Promise<Privileges> {
  const [[roles = 'NONE'] = []] = await query(
    connection,
    { sql: `select ifnull(current_role(), 'NONE');`, code: 'dump-failed' },
    signal,
  );
  // MariaDB shows what an active role may do by itself.
  const using = connection.flavour === 'mysql' && roles !== 'NONE' ? ` using ${roles}` : '';
  const rows = await query(
    connection,
    { sql: `show grants for current_user()${using};`, code: 'dump-failed' },
    signal,
  );
  return rows.flatMap(([line = '']) => grantsOf(line, connection.flavour));
}

function grantsOf(line: string, flavour: Flavour): readonly Grant[] {
  const found = GRANT.exec(line)?.groups;
  if (found === undefined) {
    return [];
  }
  const privileges = new Set((found['privileges'] ?? '').split(',').map((one) => one.trim()));
  const database = found['database']?.replaceAll('``', '`') ?? null;
  // Who may read everything, or in MariaDB the table that they are in, sees all routines.
  const seesRoutines =
    privileges.has('SELECT') &&
    (database === null || (flavour === 'mariadb' && database === 'mysql'));
  const routines = { privileges: new Set(['SHOW_ROUTINE']), database: null };
  return [{ privileges, database }, ...(seesRoutines ? [routines] : [])];
}

/** Whether the events of a database may be seen; without that the tools do not leave them out but fail. */
export function seesEvents(database: string, privileges: Privileges): boolean {
  return sees(database, privileges, ['EVENT']);
}

/** A warning for each kind of things that a dump of a database lacks, if there are any. */
export function missingRights(
  { container }: Pick<Connection, 'container'>,
  database: string,
  privileges: Privileges,
): readonly Warning[] {
  return NEEDED.filter(([, anyOf]) => !sees(database, privileges, anyOf)).map(([what, anyOf]) => ({
    code: 'rights-missing',
    message: `the account that dumps "${container}" may not see the ${what} of "${database}" (${anyOf.join(' or ')}): if there are any, they were not dumped`,
  }));
}

/** What a restore does in databases that are not there yet, so that it must be allowed in all of them. */
const NEEDED_TO_RESTORE = [
  'CREATE',
  'DROP',
  'INSERT',
  'ALTER',
  'REFERENCES',
  'TRIGGER',
  'CREATE VIEW',
  'CREATE ROUTINE',
  'EVENT',
  'CREATE USER',
];

/** Why an account cannot restore; nothing where it can. */
export function rightsToRestore(
  { container }: Pick<Connection, 'container'>,
  privileges: Privileges,
): readonly Problem[] {
  const everywhere = new Set(
    privileges
      .filter(({ database }) => database === null)
      .flatMap((grant) => [...grant.privileges]),
  );
  const missing = NEEDED_TO_RESTORE.filter((privilege) => !everywhere.has(privilege));
  if (everywhere.has('ALL PRIVILEGES') || missing.length === 0) {
    return [];
  }
  return [
    {
      code: 'target-unavailable',
      message: `the account that is used in "${container}" has not all rights that a restore needs, everywhere: ${missing.join(', ')}`,
      hint: 'A restore makes databases and accounts. Set backupd.user and backupd.password_file to an account that may, such as root.',
    },
  ];
}

function sees(database: string, privileges: Privileges, anyOf: readonly string[]): boolean {
  return privileges.some(
    (grant) =>
      (grant.database === null || matches(grant.database, database)) &&
      ['ALL PRIVILEGES', ...anyOf].some((privilege) => grant.privileges.has(privilege)),
  );
}

/** Whether a database is one of those that a grant is on. */
function matches(pattern: string, database: string): boolean {
  const expression = pattern.replaceAll(/\\[_%]|[_%]|[^_%\\]+|\\/g, (token) =>
    token === '_'
      ? '.'
      : token === '%'
        ? '.*'
        : token.replace(/^\\(?=[_%])/, '').replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`),
  );
  return new RegExp(`^${expression}$`, 's').test(database);
}
