import type { FailureCode } from '../../core/errors.ts';
import type { RestorePlan } from '../../core/restorer.ts';
import { serverDisk, sizeWhenDumped, type LoadedDisk } from '../space.ts';
import type { Connection } from './connection.ts';
import { query } from './query.ts';

/** Where a server keeps its data, and what it writes there besides. */
export interface MysqlDisk extends LoadedDisk {
  /** Whether every row is also written into the binary log, as MySQL does by default. */
  readonly logsRows: boolean;
}

export async function readDisk(
  connection: Connection,
  code: FailureCode,
  signal: AbortSignal,
): Promise<MysqlDisk> {
  const sql = 'select @@datadir, @@log_bin;';
  const [[directory = '', logged = ''] = []] = await query(connection, { sql, code }, signal);
  return { ...serverDisk(connection, directory), logsRows: logged === '1' };
}

/** A restored database needs its old size, room to grow while indexes are built, and what the logs take. */
const SIZE_FACTOR = 1.3;
const LEAST_LOG_BYTES = 32 * 1024 * 1024;

export function neededSpace(plan: RestorePlan, { logsRows }: MysqlDisk): number {
  const names = new Set(plan.databases.map(({ name }) => name));
  const dumpBytes = plan.manifest.files
    .filter(({ database }) => database !== null && names.has(database))
    .reduce((sum, file) => sum + file.dumpBytes, 0);
  return Math.round(
    sizeWhenDumped(plan) * SIZE_FACTOR + (logsRows ? dumpBytes : 0) + LEAST_LOG_BYTES,
  );
}
