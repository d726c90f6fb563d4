import { randomBytes } from 'node:crypto';
import { BackupdError } from '../../core/errors.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { runExec } from '../../docker/run-exec.ts';
import type { Connection } from './connection.ts';
import { readContents } from './databases.ts';
import { definitionsArgv } from './dump-script.ts';
import type { StoredObject } from './objects.ts';
import { readObjects } from './read-objects.ts';

const LARGEST_DEFINITIONS = 256 * 1024 * 1024;

/** What a database in use has besides its tables, as a dump of it would say; views that cannot be read are left out. */
export async function readDefinitions(
  connection: Connection,
  database: string,
  signal: AbortSignal,
): Promise<readonly StoredObject[]> {
  const { docker, containerId, container, run, environment, flavour, tools, options } = connection;
  const contents = await readContents(connection, database, signal);
  const argv = definitionsArgv({
    flavour,
    tool: tools.dump,
    options,
    token: randomBytes(16).toString('hex'),
    database,
    events: true,
    views: contents.views,
    brokenViews: contents.brokenViews.map((view) => view.name),
  });
  const result = await runExec(
    docker,
    {
      containerId,
      container,
      run,
      argv,
      env: environment,
      maxBytes: LARGEST_DEFINITIONS,
      encoding: 'latin1',
    },
    signal,
  );
  if (result.exitCode !== 0) {
    throw new BackupdError(
      'restore-failed',
      `${tools.dump} in "${container}" exited with ${result.exitCode ?? 'no code'}: ${reasonOf(result, result.stderr)}`,
    );
  }
  return readObjects(result.stdout);
}
