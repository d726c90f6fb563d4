import type { Preflight, Problem, RestorePlan } from '../../core/restorer.ts';
import { waitForAll } from '../../core/wait-for-all.ts';
import { sizeWhenDumped, spaceProblems } from '../space.ts';
import type { Connection } from './connection.ts';
import {
  diskOf,
  listDatabases,
  readServer,
  type DatabaseRow,
  type ServerRow,
} from './databases.ts';
import { queryJson } from './session.ts';
import { LONGEST_IDENT_BYTES, quoteIdent, quoteLiteral } from './sql.ts';

const SIZE_FACTOR = 1.3;
/** WAL that is written before the server recycles it, at least. */
const LEAST_WAL_BYTES = 32 * 1024 * 1024;

/** Looks for every reason not to begin; changes nothing. */
export async function lookAhead(
  connection: Connection,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<Preflight> {
  const [server, live] = await waitForAll([
    readServer(connection, 'target-unavailable', signal),
    listDatabases(connection, 'target-unavailable', signal),
  ]);
  const replaced = live.filter((row) =>
    plan.databases.some((wanted) => wanted.restoredAs === row.name),
  );
  const [space, use] = await waitForAll([
    spaceProblems(diskOf(connection, server), neededSpace(plan, server), signal),
    useProblems(connection, replaced, signal),
  ]);
  const problems = [
    ...serverProblems(connection, server, plan),
    ...nameProblems(plan),
    ...invalidProblems(replaced),
    ...space,
    ...use,
  ];
  return { problems, existing: replaced.map((row) => row.name) };
}

function serverProblems(
  connection: Connection,
  server: ServerRow,
  plan: RestorePlan,
): readonly Problem[] {
  const problems: Problem[] = [];
  const backupMajor = Math.floor(Number(plan.manifest.engineFacts['versionNumber'] ?? 0) / 10_000);
  const major = Math.floor(server.versionNumber / 10_000);
  if (major < backupMajor) {
    problems.push({
      code: 'format-unsupported',
      message: `the backup is of PostgreSQL ${backupMajor}, "${connection.container}" runs ${major}`,
      hint: `Restore into PostgreSQL ${backupMajor} or newer (--into).`,
    });
  }
  if (server.isStandby) {
    problems.push({
      code: 'target-unavailable',
      message: `"${connection.container}" is a standby and cannot be written to`,
      hint: 'Restore into the primary (--into).',
    });
  }
  if (!server.isSuperuser) {
    problems.push({
      code: 'target-unavailable',
      message: `role "${connection.user}" in "${connection.container}" is no superuser`,
      hint: 'A restore creates roles and databases and ends sessions. Set backupd.user to a superuser.',
    });
  }
  return problems;
}

function nameProblems(plan: RestorePlan): readonly Problem[] {
  return plan.databases
    .filter(
      ({ restoredAs }) =>
        restoredAs === '' ||
        Buffer.byteLength(restoredAs) > LONGEST_IDENT_BYTES ||
        /^template[01]$/.test(restoredAs) ||
        restoredAs.includes('\0'),
    )
    .map(({ restoredAs }) => ({
      code: 'usage' as const,
      message: `"${restoredAs}" cannot be the name of a database`,
      hint: `A name has 1 to ${LONGEST_IDENT_BYTES} bytes and is not a template's.`,
    }));
}

function invalidProblems(replaced: readonly DatabaseRow[]): readonly Problem[] {
  return replaced
    .filter(({ isInvalid }) => isInvalid)
    .map(({ name }) => ({
      code: 'target-in-use' as const,
      message: `a DROP DATABASE of "${name}" was interrupted: what is left of it cannot be kept under another name`,
      hint: `Drop it ("drop database ${quoteIdent(name)}"): nothing in it can be read any more. Then restore.`,
    }));
}

/** A restored database needs its old size, room to grow while indexes are built, and WAL. */
function neededSpace(plan: RestorePlan, server: ServerRow): number {
  const sizeBytes = sizeWhenDumped(plan);
  return Math.round(
    sizeBytes * SIZE_FACTOR + Math.max(LEAST_WAL_BYTES, Math.min(server.maxWalBytes, sizeBytes)),
  );
}

/** What would break, or would go on writing into the database that is put aside. */
async function useProblems(
  connection: Connection,
  replaced: readonly DatabaseRow[],
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  if (replaced.length === 0) {
    return [];
  }
  const list = replaced.map((row) => quoteLiteral(row.name)).join(', ');
  const sql = `
select json_build_array('prepared transaction', gid, database) from pg_prepared_xacts where database in (${list})
union all select json_build_array('logical replication slot', slot_name, database) from pg_replication_slots where database in (${list})
union all select json_build_array('subscription', s.subname, d.datname) from pg_subscription s join pg_database d on d.oid = s.subdbid
  where s.subenabled and d.datname in (${list})`;
  const rows = await queryJson<[string, string, string]>(
    connection,
    { database: connection.maintenanceDatabase, sql, code: 'target-unavailable' },
    signal,
  );
  return rows.map(([what, name, database]) => ({
    code: 'target-in-use',
    message: `database "${database}" has the ${what} "${name}"`,
    hint:
      {
        'prepared transaction': `Finish it with COMMIT PREPARED or ROLLBACK PREPARED, then restore again.`,
        'logical replication slot':
          'It would stay with the database that is replaced and its subscriber would fail. Drop it, then restore again.',
        subscription:
          'It would go on writing into the database that is replaced. Disable it (ALTER SUBSCRIPTION ... DISABLE), then restore again.',
      }[what] ?? 'Remove it, then restore again.',
  }));
}
