import { Readable } from 'node:stream';
import { BackupdError, type FailureCode } from '../../core/errors.ts';
import type { Warning } from '../../core/manifest.ts';
import { waitForAll } from '../../core/wait-for-all.ts';
import { runExec } from '../../docker/run-exec.ts';
import { COMPLETE_LINE } from '../sql-text.ts';
import { queryJson, runSql } from './session.ts';
import type { ServerRow } from './databases.ts';
import { saidBy, type Connection } from './connection.ts';
import {
  connectionName,
  leadingWords,
  quoteIdent,
  quoteLiteral,
  splitStatements,
  unquoteIdent,
  withoutGrantedBy,
} from './sql.ts';

/** Roles and tablespaces are small, but nothing says how small. */
const LARGEST_GLOBALS = 64 * 1024 * 1024;

/**
 * Roles with passwords, memberships, role settings, tablespaces, and what `pg_dumpall --globals-only` leaves out:
 * ALTER ROLE ALL SET. Where passwords cannot be read they are left out with a warning.
 */
export async function dumpGlobals(
  connection: Connection,
  server: Pick<ServerRow, 'seesPasswords'>,
  warnings: Warning[],
  signal: AbortSignal,
): Promise<Readable> {
  if (!server.seesPasswords) {
    warnings.push({
      code: 'role-passwords-unreadable',
      message: `role "${connection.user}" may not read pg_authid: roles are saved without passwords`,
    });
  }
  const argv = [
    'pg_dumpall',
    '--globals-only',
    '-d',
    connectionName(connection.maintenanceDatabase),
    ...(server.seesPasswords ? [] : ['--no-role-passwords']),
  ];
  const request = {
    containerId: connection.containerId,
    container: connection.container,
    run: connection.run,
    argv,
    env: { ...connection.environment, PGCLIENTENCODING: 'UTF8' },
    maxBytes: LARGEST_GLOBALS,
  };
  const [result, forAll] = await waitForAll([
    runExec(connection.docker, request, signal),
    settingsForAll(connection, signal),
  ]);
  if (result.exitCode !== 0) {
    throw new BackupdError(
      'dump-failed',
      `pg_dumpall in "${connection.container}" exited with ${result.exitCode}: ${saidBy(result, result.stderr)}`,
    );
  }
  return Readable.from(
    [result.stdout, '\n', forAll, COMPLETE_LINE].map((text) => Buffer.from(text)),
    { objectMode: false },
  );
}

/** Settings for every role in every database; values that are lists are written as the manual's ALTER ROLE takes them. */
async function settingsForAll(connection: Connection, signal: AbortSignal): Promise<string> {
  const sql = `
select json_build_object('name', split_part(c, '=', 1), 'value', substr(c, strpos(c, '=') + 1))
from pg_db_role_setting s, unnest(s.setconfig) c where s.setdatabase = 0 and s.setrole = 0`;
  const rows = await queryJson<{ name: string; value: string }>(
    connection,
    { database: connection.maintenanceDatabase, sql, code: 'dump-failed' },
    signal,
  );
  return rows
    .map(
      ({ name, value }) =>
        `ALTER ROLE ALL SET ${settingName(name)} TO ${settingValue(name, value)};\n`,
    )
    .join('');
}

function settingName(name: string): string {
  return name
    .split('.')
    .map((part) => quoteIdent(part))
    .join('.');
}

/** Settings that PostgreSQL stores as lists of identifiers (GUC_LIST_QUOTE in guc_tables.c). */
const LISTS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

function settingValue(name: string, value: string): string {
  if (!LISTS.has(name.toLowerCase())) {
    return quoteLiteral(value);
  }
  const items = [...value.matchAll(/"((?:[^"]|"")*)"|([^\s,]+)/g)].map(
    ([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare ?? '',
  );
  return items.map((item) => quoteLiteral(item)).join(', ');
}

/** GRANT role TO member. */
interface Membership {
  readonly role: string;
  readonly member: string;
  readonly statement: string;
}

/** What a script of globals says, taken apart so that what exists is left alone. */
export interface Globals {
  /** Statements about one role, by its name: CREATE ROLE, ALTER ROLE, COMMENT ON ROLE. */
  readonly roles: ReadonlyMap<string, readonly string[]>;
  readonly memberships: readonly Membership[];
  readonly tablespaces: ReadonlyMap<string, readonly string[]>;
  /** GRANT ... ON PARAMETER, by the role that gets it. */
  readonly parameters: ReadonlyMap<string, readonly string[]>;
  /** ALTER ROLE ALL SET, with the setting's name in lower case. */
  readonly forAll: readonly { readonly setting: string; readonly statement: string }[];
}

/** Takes globals.sql apart. Statements that are none of these (SET at the beginning) are left out. */
export function parseGlobals(sql: string): Globals {
  const roles = new Map<string, string[]>();
  const tablespaces = new Map<string, string[]>();
  const parameters = new Map<string, string[]>();
  const memberships: Membership[] = [];
  const forAll: { setting: string; statement: string }[] = [];
  for (const statement of splitStatements(sql)) {
    const words = leadingWords(statement, 10);
    const role = roleAbout(words);
    if (role === 'ALL') {
      forAll.push({ setting: settingOf(statement), statement });
    } else if (role !== null) {
      append(roles, role, statement);
    } else if (words[0] === 'GRANT' && words[2] === 'TO') {
      memberships.push({
        role: unquoteIdent(words[1] ?? ''),
        member: unquoteIdent(words[3] ?? ''),
        statement,
      });
    } else if (words.includes('TABLESPACE')) {
      append(tablespaces, words[words.indexOf('TABLESPACE') + 1], statement);
    } else if (words.includes('PARAMETER')) {
      append(parameters, words[words.indexOf('TO') + 1], statement);
    }
  }
  return { roles, memberships, tablespaces, parameters, forAll };
}

/** The role that a statement makes or is about, as written; `ALL` for ALTER ROLE ALL; null for any other statement. */
function roleAbout(words: readonly string[]): string | null {
  const [verb, object, name = null, next = null] = words;
  if ((verb === 'CREATE' || verb === 'ALTER') && object === 'ROLE') {
    return name;
  }
  return verb === 'COMMENT' && name === 'ROLE' ? next : null;
}

/** The setting's name in `ALTER ROLE ALL SET "name" TO ...`, as written by settingsForAll. */
function settingOf(statement: string): string {
  const written = /^ALTER ROLE ALL SET ((?:"(?:[^"]|"")*"|[\w.])+)/.exec(statement)?.[1] ?? '';
  return written.replaceAll('"', '').toLowerCase();
}

function append(
  map: Map<string, string[]>,
  identifier: string | undefined,
  statement: string,
): void {
  const name = unquoteIdent(identifier ?? '');
  map.set(name, [...(map.get(name) ?? []), statement]);
}

/**
 * Creates the roles and tablespaces that are missing; what exists is left alone, passwords included.
 * @returns what could not be done, as warnings: a restore goes on without them
 */
export async function createMissingGlobals(
  connection: Connection,
  globals: Globals,
  code: FailureCode,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const warnings: Warning[] = [];
  const existing = new Set(
    await names(connection, 'select to_json(rolname) from pg_roles', code, signal),
  );
  const missing = [...globals.roles.keys()].filter((name) => !existing.has(name));
  const database = connection.maintenanceDatabase;
  const create = missing.flatMap((name) => globals.roles.get(name) ?? []);
  if (create.length > 0) {
    // One transaction: a role without its password or attributes must not stay behind.
    await runSql(
      connection,
      { database, sql: ['begin;', ...create, 'commit;'].join('\n'), code },
      signal,
    );
  }
  const memberships = globals.memberships.filter(
    ({ role, member }) => missing.includes(role) || missing.includes(member),
  );
  for (const { statement } of memberships) {
    warnings.push(
      ...(await tryInTurn(
        connection,
        [statement, withoutGrantedBy(statement)],
        'membership-skipped',
        signal,
      )),
    );
  }
  for (const statement of missing.flatMap((name) => globals.parameters.get(name) ?? [])) {
    warnings.push(...(await tryInTurn(connection, [statement], 'parameter-grant-skipped', signal)));
  }
  const spaces = new Set(
    await names(connection, 'select to_json(spcname) from pg_tablespace', code, signal),
  );
  for (const [name, statements] of globals.tablespaces) {
    if (!spaces.has(name)) {
      warnings.push(
        ...(await tryInTurn(connection, [statements.join('\n')], 'tablespace-missing', signal)),
      );
    }
  }
  warnings.push(...(await setMissingForAll(connection, globals, code, signal)));
  return warnings;
}

/** ALTER ROLE ALL SET, where the server has no such setting of its own. */
async function setMissingForAll(
  connection: Connection,
  globals: Globals,
  code: FailureCode,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const sql = `select to_json(lower(split_part(c, '=', 1))) from pg_db_role_setting s, unnest(s.setconfig) c
    where s.setdatabase = 0 and s.setrole = 0`;
  const own = new Set(await names(connection, sql, code, signal));
  const warnings: Warning[] = [];
  for (const { setting, statement } of globals.forAll) {
    if (!own.has(setting)) {
      warnings.push(...(await tryInTurn(connection, [statement], 'setting-skipped', signal)));
    }
  }
  return warnings;
}

async function names(
  connection: Connection,
  sql: string,
  code: FailureCode,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return queryJson<string>(
    connection,
    { database: connection.maintenanceDatabase, sql, code },
    signal,
  );
}

/** The first of these that works; a grantor of the old server may lack the right here, so a grant is tried without it as well. */
async function tryInTurn(
  connection: Connection,
  statements: readonly string[],
  warning: string,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  let refused = '';
  for (const statement of statements) {
    try {
      await runSql(
        connection,
        { database: connection.maintenanceDatabase, sql: statement, code: 'restore-failed' },
        signal,
      );
      return [];
    } catch (error) {
      if (!(error instanceof BackupdError) || error.code !== 'restore-failed') {
        throw error;
      }
      refused = error.message;
    }
  }
  return [{ code: warning, message: refused }];
}
