import type { Manifest } from '../../core/manifest.ts';
import type { ExecRequest } from '../../docker/exec.ts';
import { runExec } from '../../docker/run-exec.ts';
import { askClient, firstValue, type ScratchPlace, type ScratchRecipe } from '../scratch-recipe.ts';

const LOOPBACK = '127.0.0.1';

/** How PostgreSQL is started for a drill. */
export const POSTGRES_SCRATCH: ScratchRecipe = {
  programs: ['postgres'],
  keptVariables: ['PGDATA', 'POSTGRES_INITDB_ARGS', 'LANG', 'LC_ALL', 'TZ'],
  configPlaces: [],
  droppedOptions: [],
  options: [
    ['listen_addresses', LOOPBACK],
    // A file with the key is not there, and nobody is on the way.
    ['ssl', 'off'],
    // Its log is nobody's; and no standby is there to confirm.
    ['archive_mode', 'off'],
    ['synchronous_standby_names', ''],
    // The scheduler of pg_cron.
    ['cron.launch_active_jobs', 'off'],
  ].flatMap(([name, value]) => ['-c', `${name}=${value}`]),

  variables: (manifest, password) => ({
    POSTGRES_USER: superuser(manifest),
    POSTGRES_PASSWORD: password,
    POSTGRES_DB: 'postgres',
  }),

  async answers(place, manifest, signal) {
    const request = psql(place, manifest, 'postgres');
    const { exitCode, stderr } = await runExec(
      place.docker,
      { ...request, input: 'select 1' },
      signal,
    );
    // A pg_hba.conf of the user's own may refuse it; that is an answer over TCP, too.
    return exitCode === 0 || stderr.includes('pg_hba.conf');
  },

  async ask(place, { manifest, database, statement }, signal) {
    const request = psql(place, manifest, database ?? 'postgres');
    return firstValue(await askClient(place, { ...request, input: statement }, signal));
  },
};

/** The role that has everything, under the name that it has in the backup. */
function superuser({ engineFacts }: Manifest): string {
  const role = engineFacts['bootstrapRole'];
  return typeof role === 'string' && role !== '' ? role : 'postgres';
}

function psql(
  { containerId, container, run, password }: ScratchPlace,
  manifest: Manifest,
  database: string,
): ExecRequest {
  return {
    containerId,
    container,
    run,
    argv: ['psql', '-X', '-q', '-A', '-t', '-F', '\t', '-v', 'ON_ERROR_STOP=1', '-f', '-'],
    env: {
      LC_ALL: 'C',
      PGHOST: LOOPBACK,
      PGUSER: superuser(manifest),
      PGPASSWORD: password,
      PGDATABASE: database,
      PGCLIENTENCODING: 'UTF8',
      PGCONNECT_TIMEOUT: '10',
    },
  };
}
