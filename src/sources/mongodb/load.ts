import { pipeline } from 'node:stream/promises';
import { BackupdError } from '../../core/errors.ts';

import type { Beside, RestorePlan } from '../../core/restorer.ts';
import type { TargetRef } from '../../core/target.ts';
import { reach } from '../../core/steps.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { decompressedArgv } from '../../docker/exec-pipe.ts';
import { startExec } from '../../docker/exec.ts';
import { archiveOf, openFeed } from '../feed.ts';
import { watchSpace, type SpaceWatch } from '../space.ts';
import type { Client } from './client.ts';
import type { Connection } from './connection.ts';
import { listDatabases } from './databases.ts';
import { readDisk } from './disk.ts';
import { writeMark, type Mark } from './marks.ts';
import { keptPrefix, newPrefix } from './names.ts';
import { escapePattern, toolRequest } from './tools.ts';
import { withLineBreak, type StoredView } from './views.ts';

/** What the manifest says of a database besides facts. */
export interface DatabaseRecord {
  readonly views: readonly StoredView[];
  readonly timeSeries: readonly string[];
  /** Collections with a line break in their name; absent where an older backupd wrote it. */
  readonly lineBreaks?: readonly string[];
}

export function recordOf(
  { manifest }: Pick<RestorePlan, 'manifest'>,
  name: string,
): DatabaseRecord {
  const all = manifest.engineFacts['databases'] as
    | Readonly<Record<string, DatabaseRecord>>
    | undefined;
  return all?.[name] ?? { views: [], timeSeries: [] };
}

/** A mark of a restore that has loaded nothing yet. */
export function markOf(plan: RestorePlan, owner: Pick<Mark, 'owner' | 'source'>): Mark {
  const { run } = plan;
  return {
    run,
    ...owner,
    at: new Date().toISOString(),
    state: 'building',
    undoes: null,
    copy: null,
    exchanges: plan.databases.map(({ name, restoredAs }) => ({
      database: restoredAs,
      incoming: { prefix: newPrefix(run), collections: [], views: recordOf(plan, name).views },
      outgoing: { prefix: keptPrefix(run), collections: [], views: [] },
    })),
  };
}

/** Loads every database of the plan under other names of collections. The caller discards what was made when this fails. */
export async function loadBeside(
  connection: Connection,
  client: Client,
  {
    into,
    plan,
    mark,
  }: { readonly into: TargetRef; readonly plan: RestorePlan; readonly mark: Mark },
  signal: AbortSignal,
): Promise<Beside> {
  const { run } = plan;
  const live = await listDatabases(client);
  await writeMark(client, mark);
  reach('beside-created');
  await using space = await watchSpace(await readDisk(connection, client), signal);
  try {
    const watched = AbortSignal.any([signal, space.failed]);
    for (const database of plan.databases) {
      await loadDatabase(connection, { plan, space }, database, watched);
      reach('beside-loaded');
    }
  } catch (error) {
    // Whatever the tool said when it was ended: the reason is the disk.
    throw space.failed.aborted ? space.failed.reason : error;
  }
  const databases = plan.databases.map(({ name, restoredAs }) => ({
    name,
    restoredAs,
    temporary: `${restoredAs}.${newPrefix(run)}*`,
    temporaryId: newPrefix(run),
    live: live.some((row) => row.name === restoredAs)
      ? { id: restoredAs, keptAs: `${restoredAs}.${keptPrefix(run)}*` }
      : null,
  }));
  return { run, target: into, databases, warnings: [], statements: [] };
}

async function loadDatabase(
  connection: Connection,
  { plan, space }: { readonly plan: RestorePlan; readonly space: SpaceWatch },
  { name, restoredAs }: RestorePlan['databases'][number],
  signal: AbortSignal,
): Promise<void> {
  const { docker, container } = connection;
  const file = archiveOf(plan, name);
  const isCompressed = connection.hasZstd && file.compression === 'zstd';
  const { views, lineBreaks } = recordOf(plan, name);
  const odd =
    lineBreaks ?? withLineBreak(Object.keys(plan.manifest.facts.databases[name]?.tables ?? {}));
  const patterns = ['*', ...odd.map((collection) => escapePattern(collection))];
  const request = toolRequest(connection, [
    'mongorestore',
    '--archive',
    '--stopOnError',
    // What is in a collection already need not fit a rule that it got later.
    '--bypassDocumentValidation',
    // What is not renamed would be loaded into what is in use: so nothing else is loaded.
    ...patterns.flatMap((pattern) => [
      `--nsInclude=${escapePattern(name)}.${pattern}`,
      `--nsFrom=${escapePattern(name)}.${pattern}`,
      `--nsTo=${escapePattern(restoredAs)}.${newPrefix(plan.run)}${pattern}`,
    ]),
    // They would read what is in use; they are made with the swap.
    ...views.map((view) => `--nsExclude=${escapePattern(name)}.${escapePattern(view.name)}`),
  ]);
  const argv = isCompressed ? decompressedArgv(request.argv) : request.argv;
  const process = await startExec(docker, { ...request, argv, stdin: 'pipe' }, signal);
  process.stdout.resume();
  const feed = openFeed(plan, file, { isCompressed }, signal);
  function onPassed(bytes: number): void {
    plan.onProgress({ stage: 'load', database: name, bytes, totalBytes: file.dumpBytes });
  }
  const [sent, ended] = await Promise.allSettled([
    process.stdin === null
      ? Promise.resolve()
      : pipeline(space.gate(feed, onPassed), process.stdin, { signal }),
    process.exited,
  ]);
  if (ended.status === 'fulfilled' && ended.value.exitCode !== 0) {
    // What it said tells more than that it took no more.
    throw new BackupdError(
      'restore-failed',
      `mongorestore in "${container}" exited with ${ended.value.exitCode ?? 'no code'} while it loaded "${name}": ${reasonOf(ended.value, process.stderr.text())}`,
    );
  }
  for (const one of [sent, ended]) {
    if (one.status === 'rejected') {
      throw one.reason;
    }
  }
}
