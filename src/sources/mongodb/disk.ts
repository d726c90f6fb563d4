import type { RestorePlan } from '../../core/restorer.ts';
import { serverDisk, sizeWhenDumped, type LoadedDisk } from '../space.ts';
import type { Client } from './client.ts';
import type { Connection } from './connection.ts';
import { readDataFolder } from './databases.ts';

/** Where a server keeps its data. */
export async function readDisk(connection: Connection, client: Client): Promise<LoadedDisk> {
  return serverDisk(connection, await readDataFolder(client));
}

/** What is loaded by inserts takes somewhat more than what grew, and the journal takes its part. */
const SIZE_FACTOR = 1.3;
const LEAST_BYTES = 64 * 1024 * 1024;

export function neededSpace(plan: RestorePlan): number {
  return Math.round(sizeWhenDumped(plan) * SIZE_FACTOR + LEAST_BYTES);
}
