import type { Preflight, Problem, RestorePlan } from '../../core/restorer.ts';
import { spaceProblems } from '../space.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';
import { listDatabases, ownDatabases, type DatabaseRow } from './databases.ts';
import { neededSpace, readDisk } from './disk.ts';
import { LONGEST_NAME } from './names.ts';
import { readPrivileges, rightsToRestore } from './privileges.ts';
import { quoteText } from './sql.ts';

/** Looks for every reason not to begin; changes nothing. */
export async function lookAhead(
  connection: Connection,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<Preflight> {
  const live = await listDatabases(connection, 'target-unavailable', signal);
  const replaced = live.filter((row) =>
    plan.databases.some((wanted) => wanted.restoredAs === row.name),
  );
  const disk = await readDisk(connection, 'target-unavailable', signal);
  const problems = [
    ...flavourProblems(connection, plan),
    ...rightsToRestore(connection, await readPrivileges(connection, signal)),
    ...nameProblems(plan),
    ...(await foreignKeyProblems(connection, { replaced, live }, signal)),
    ...(await spaceProblems(disk, neededSpace(plan, disk), signal)),
  ];
  return { problems, existing: replaced.map((row) => row.name) };
}

function flavourProblems(connection: Connection, { manifest }: RestorePlan): readonly Problem[] {
  const { flavour } = manifest.engineFacts;
  if (flavour !== connection.flavour) {
    return [
      {
        code: 'format-unsupported',
        message: `the backup is of ${nameOf(String(flavour))}, "${connection.container}" runs ${nameOf(connection.flavour)}`,
        hint: 'Their dumps are not the same: restore into a container of the same kind (--into).',
      },
    ];
  }
  const [was, is] = [majorOf(manifest.facts.serverVersion), majorOf(connection.serverVersion)];
  return is.localeCompare(was, 'en', { numeric: true }) >= 0
    ? []
    : [
        {
          code: 'format-unsupported',
          message: `the backup is of ${nameOf(connection.flavour)} ${was}, "${connection.container}" runs ${is}`,
          hint: `Restore into ${nameOf(connection.flavour)} ${was} or newer (--into).`,
        },
      ];
}

function nameOf(flavour: string): string {
  return flavour === 'mariadb' ? 'MariaDB' : 'MySQL';
}

/** `11.8`, `9.7`. */
function majorOf(version: string): string {
  return /^\d+\.\d+/.exec(version)?.[0] ?? '0';
}

function nameProblems(plan: RestorePlan): readonly Problem[] {
  return plan.databases
    .filter(
      ({ name, restoredAs }) =>
        // What a database was called it can be called again.
        name !== restoredAs &&
        (restoredAs === '' ||
          restoredAs.length > LONGEST_NAME ||
          /\0|[^\0-\uFFFF]|\s$/u.test(restoredAs)),
    )
    .map(({ restoredAs }) => ({
      code: 'usage' as const,
      message: `"${restoredAs}" cannot be the name of a database`,
      hint: `A name has 1 to ${LONGEST_NAME} characters, none of them beyond the basic ones, and no blank at its end.`,
    }));
}

/** A foreign key of another database follows the table that is put aside, and the application then gets errors (1452). */
async function foreignKeyProblems(
  connection: Connection,
  {
    replaced,
    live,
  }: { readonly replaced: readonly DatabaseRow[]; readonly live: readonly DatabaseRow[] },
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  if (replaced.length === 0) {
    return [];
  }
  const list = replaced.map(({ name }) => quoteText(name)).join(', ');
  const rows = await query(
    connection,
    {
      sql: `select constraint_schema, table_name, constraint_name, unique_constraint_schema, referenced_table_name
        from information_schema.referential_constraints
        where unique_constraint_schema in (${list}) and constraint_schema <> unique_constraint_schema
        order by constraint_schema, table_name;`,
      code: 'target-unavailable',
    },
    signal,
  );
  // Nobody uses what restores kept: there it may follow.
  const inUse = new Set(ownDatabases(live).map((row) => row.name));
  return rows
    .filter(([schema = '']) => inUse.has(schema))
    .map(([schema, table, name, target, referenced]) => ({
      code: 'target-in-use' as const,
      message: `foreign key "${name}" of "${schema}"."${table}" refers to "${target}"."${referenced}"`,
      hint: 'It would follow the table that is put aside. Drop it, restore, and make it again.',
    }));
}
