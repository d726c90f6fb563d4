import type { Connection } from './connection.ts';
import type { ObjectKind } from './objects.ts';
import { query } from './query.ts';
import { quoteName, quotePath, quoteText } from './sql.ts';

/** What somebody may do with a routine. It is gone with the routine, also where that is made again at once. */
export interface RoutineGrant {
  readonly kind: ObjectKind;
  readonly name: string;
  /** That grants it again. */
  readonly statement: string;
}

/** All grants on routines of a database. */
export async function readRoutineGrants(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<readonly RoutineGrant[]> {
  const isRole =
    connection.flavour === 'mariadb'
      ? `exists (select 1 from mysql.user u where u.user = p.user and u.host = p.host and u.is_role = 'Y')`
      : 'false';
  const rows = await query(
    connection,
    {
      sql: `select routine_type, routine_name, proc_priv, user, host, ${isRole} from mysql.procs_priv p
        where db = ${quoteText(database)} and proc_priv <> '';`,
      code: 'restore-failed',
    },
    signal,
  );
  return rows.map(([type = '', name = '', privileges = '', user = '', host = '', role]) => {
    const granted = privileges.split(',').filter((privilege) => privilege !== 'Grant');
    const account = role === '1' ? quoteName(user) : `${quoteName(user)}@${quoteName(host)}`;
    const option = privileges.includes('Grant') ? ' with grant option' : '';
    return {
      kind: type.toLowerCase() as ObjectKind,
      name,
      statement: `grant ${granted.join(', ') || 'usage'} on ${type} ${quotePath(database, name)} to ${account}${option};`,
    };
  });
}
