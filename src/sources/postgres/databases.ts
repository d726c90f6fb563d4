import type { FailureCode } from '../../core/errors.ts';
import { serverDisk, type LoadedDisk } from '../space.ts';
import type { Connection } from './connection.ts';
import { queryJson } from './session.ts';

/** Marks a database that a restore replaced; its value is a PreviousMark. Never backed up. */
export const PREVIOUS_SETTING = 'backupd.previous';
/** What is written into a database that is kept. */
export interface PreviousMark {
  readonly run: string;
  readonly source: string;
  /** The name it had. */
  readonly name: string;
  readonly at: string;
  /** The name it got. */
  readonly keptAs: string;
}

/** Marks a database that a restore is loading beside; its value is a besideMark. */
export const BESIDE_SETTING = 'backupd.beside';

/**
 * What is written into a database that is loaded beside: whose it is and of which restore, so that a later life knows
 * its own from what another backupd is loading.
 */
export function besideMark(ownPrefix: string, run: string): string {
  return `${ownPrefix}${run}`;
}

export interface DatabaseRow {
  readonly oid: string;
  readonly name: string;
  readonly owner: string;
  readonly allowsConnections: boolean;
  /** A DROP DATABASE of it was interrupted: nothing can be done with it but to drop it. */
  readonly isInvalid: boolean;
  /** Null without the right to ask. */
  readonly sizeBytes: number | null;
  /** Where a restore replaced this database. Null for one that has its old name again: somebody took it into use. */
  readonly previous: PreviousMark | null;
  readonly beside: string | null;
}

const SQL = `
select json_build_object(
  'oid', d.oid::text, 'name', d.datname, 'owner', pg_get_userbyid(d.datdba), 'allowsConnections', d.datallowconn,
  'isInvalid', d.datconnlimit = -2,
  'sizeBytes', case when has_database_privilege(d.oid, 'CONNECT') then pg_database_size(d.oid) end,
  'previous', ${setting(PREVIOUS_SETTING)}, 'beside', ${setting(BESIDE_SETTING)})
from pg_database d
where d.datname not in ('template0', 'template1')
order by d.datname`;

function setting(name: string): string {
  return `(select substr(c, ${name.length + 2}) from pg_db_role_setting s, unnest(s.setconfig) c
    where s.setdatabase = d.oid and s.setrole = 0 and c like '${name}=%')`;
}

/** Every database of the server but template0 and template1, what restores kept or left included. */
export async function listDatabases(
  connection: Connection,
  code: FailureCode,
  signal: AbortSignal,
): Promise<readonly DatabaseRow[]> {
  const rows = await queryJson<
    Omit<DatabaseRow, 'previous'> & { readonly previous: string | null }
  >(connection, { database: connection.maintenanceDatabase, sql: SQL, code }, signal);
  return rows.map((row) => ({ ...row, previous: readMark(row.previous, row.name) }));
}

function readMark(text: string | null, name: string): PreviousMark | null {
  if (text === null) {
    return null;
  }
  try {
    const mark = JSON.parse(text) as PreviousMark;
    return mark.name === name ? null : mark;
  } catch {
    // Not written by us: a database like any other.
    return null;
  }
}

export interface ServerRow {
  /** `17.6 (Debian 17.6-1)` */
  readonly version: string;
  /** 170006 */
  readonly versionNumber: number;
  readonly isStandby: boolean;
  readonly isSuperuser: boolean;
  /** Whether roles can be saved with their passwords. */
  readonly seesPasswords: boolean;
  /** Name of the role with OID 10, which made the cluster and which globals may name as a grantor. */
  readonly bootstrapRole: string;
  readonly dataDirectory: string | null;
  readonly maxWalBytes: number;
}

/** What must be known of the server before anything is done with it. */
export async function readServer(
  connection: Connection,
  code: FailureCode,
  signal: AbortSignal,
): Promise<ServerRow> {
  const sql = `
select json_build_object(
  'version', current_setting('server_version'), 'versionNumber', current_setting('server_version_num')::int,
  'isStandby', pg_is_in_recovery(), 'isSuperuser', current_setting('is_superuser') = 'on',
  'seesPasswords', has_table_privilege('pg_catalog.pg_authid', 'SELECT'), 'bootstrapRole', pg_get_userbyid(10),
  'dataDirectory', (select setting from pg_settings where name = 'data_directory'),
  'maxWalBytes', (select setting::bigint * 1024 * 1024 from pg_settings where name = 'max_wal_size'))`;
  const rows = await queryJson<ServerRow>(
    connection,
    { database: connection.maintenanceDatabase, sql, code },
    signal,
  );
  return rows[0] as ServerRow;
}

/** Where the server keeps its data. */
export function diskOf(
  connection: Connection,
  { dataDirectory }: Pick<ServerRow, 'dataDirectory'>,
): LoadedDisk {
  return serverDisk(connection, dataDirectory);
}
