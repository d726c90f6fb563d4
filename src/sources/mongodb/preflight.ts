import type { Preflight, Problem, RestorePlan } from '../../core/restorer.ts';
import { spaceProblems } from '../space.ts';
import type { Client } from './client.ts';
import type { Connection } from './connection.ts';
import { listDatabases, readServer, type DatabaseRow, type ServerInfo } from './databases.ts';
import { neededSpace, readDisk } from './disk.ts';
import { recordOf } from './load.ts';
import { keptPrefix, LONGEST_NAMESPACE } from './names.ts';
import { timeSeriesOf } from './views.ts';

const LONGEST_DATABASE = 63;

/** Looks for every reason not to begin; changes nothing. */
export async function lookAhead(
  connection: Connection,
  client: Client,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<Preflight> {
  const server = await readServer(client);
  const live = await listDatabases(client);
  const replaced = live.filter((row) =>
    plan.databases.some((wanted) => wanted.restoredAs === row.name),
  );
  const problems = [
    ...serverProblems(connection.container, plan, server),
    ...nameProblems(plan),
    ...timeSeriesProblems(plan, replaced),
    ...lengthProblems(plan, replaced),
    ...(await spaceProblems(await readDisk(connection, client), neededSpace(plan), signal)),
  ];
  return { problems, existing: replaced.map(({ name }) => name) };
}

function serverProblems(
  container: string,
  { manifest }: RestorePlan,
  server: ServerInfo,
): readonly Problem[] {
  const [was, is] = [majorOf(manifest.facts.serverVersion), majorOf(server.version)];
  return [
    ...(server.isWritable
      ? []
      : [
          {
            code: 'target-unavailable' as const,
            message: `the server in "${container}" takes no writes`,
            hint: 'It is a secondary of a replica set, or of one that was never initiated: restore into the primary (--into). In a drill: its configuration file names a replica set.',
          },
        ]),
    ...(is.localeCompare(was, 'en', { numeric: true }) >= 0
      ? []
      : [
          {
            code: 'format-unsupported' as const,
            message: `the backup is of version ${was}, "${container}" runs ${is}`,
            hint: `Restore into version ${was} or newer (--into).`,
          },
        ]),
  ];
}

/** `7.0`. */
function majorOf(version: string): string {
  return /^\d+\.\d+/.exec(version)?.[0] ?? '0';
}

function nameProblems({ databases }: RestorePlan): readonly Problem[] {
  return databases
    .filter(
      ({ restoredAs }) =>
        restoredAs === '' ||
        Buffer.byteLength(restoredAs) > LONGEST_DATABASE ||
        /[\0/\\. "$]/.test(restoredAs),
    )
    .map(({ restoredAs }) => ({
      code: 'usage',
      message: `"${restoredAs}" cannot be the name of a database`,
      hint: `A name has 1 to ${LONGEST_DATABASE} bytes, none of them a blank or one of / \\ . " $`,
    }));
}

function timeSeriesProblems(
  plan: RestorePlan,
  replaced: readonly DatabaseRow[],
): readonly Problem[] {
  const found = [
    ...plan.databases.flatMap(({ name }) =>
      recordOf(plan, name).timeSeries.map((series) => `${name}.${series}`),
    ),
    ...replaced.flatMap(({ name, collections }) =>
      timeSeriesOf(collections).map((series) => `${name}.${series}`),
    ),
  ];
  return [...new Set(found)].map((series) => ({
    code: 'restore-failed',
    message: `"${series}" is a time series: the server renames none, so it can neither be put aside nor swapped in`,
    hint: 'Restore the other databases by name (--database), and this one with mongorestore: see docs/mongodb.md.',
  }));
}

function lengthProblems(plan: RestorePlan, replaced: readonly DatabaseRow[]): readonly Problem[] {
  const prefix = keptPrefix(plan.run);
  const names = [
    ...replaced.flatMap(({ name, collections }) =>
      collections.map((collection) => ({ database: name, collection: collection.name })),
    ),
    ...plan.databases.flatMap(({ name, restoredAs }) =>
      Object.keys(plan.manifest.facts.databases[name]?.tables ?? {}).map((collection) => ({
        database: restoredAs,
        collection,
      })),
    ),
  ];
  return names
    .filter(
      ({ database, collection }) =>
        Buffer.byteLength(`${database}.${prefix}${collection}`) > LONGEST_NAMESPACE,
    )
    .map(({ database, collection }) => ({
      code: 'usage',
      message: `the name of collection "${collection}" of "${database}" leaves no room for "${prefix}" before it`,
      hint: `Database, dot and collection have at most ${LONGEST_NAMESPACE} bytes together.`,
    }));
}
