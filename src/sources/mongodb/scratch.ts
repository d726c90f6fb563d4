import type { Manifest } from '../../core/manifest.ts';
import { toFailure } from '../../core/errors.ts';
import { askClient, firstValue, type ScratchPlace, type ScratchRecipe } from '../scratch-recipe.ts';
import { withClient } from './client.ts';
import { connect } from './connection.ts';

/** The account of a scratch server; the one of the backup may have any name. */
const USER = 'backupd';
const VARIABLES = ['MONGO_INITDB_ROOT_USERNAME', 'MONGO_INITDB_ROOT_USERNAME_FILE'];

/** In the shell of the container, so that the password is in no argument that Docker tells of. */
const SHELL = `
if [ -n "$BACKUPD_USER" ]; then
  set -- --username "$BACKUPD_USER" --password "$BACKUPD_PASSWORD" --authenticationDatabase admin
fi
exec mongosh --quiet --norc --host 127.0.0.1 "$@" --eval "$(cat)" "$BACKUPD_DATABASE"`;

/** How MongoDB is started for a drill. */
export const MONGODB_SCRATCH: ScratchRecipe = {
  programs: ['mongod'],
  keptVariables: ['LANG', 'LC_ALL', 'TZ'],
  configPlaces: [],
  // A member of a replica set takes no writes before somebody initiates the set.
  droppedOptions: ['--replSet', '--keyFile', '--clusterAuthMode', '--shardsvr', '--configsvr'],
  options: [],

  // With accounts where the server asks for them.
  variables: (_manifest, password, model) =>
    VARIABLES.some((name) => model.has(name))
      ? { MONGO_INITDB_ROOT_USERNAME: USER, MONGO_INITDB_ROOT_PASSWORD: password }
      : {},

  async answers(place, _manifest, signal) {
    try {
      const { run, docker } = place;
      const connection = await connect(
        docker,
        place,
        { user: null, passwordFile: null, run },
        signal,
      );
      await withClient(connection, 'restore-failed', signal, async (client) =>
        client.run('admin', { ping: 1 }),
      );
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (toFailure(error).code === 'internal') {
        throw error;
      }
      return false;
    }
  },

  async ask(place, { manifest, database, statement }, signal) {
    const { containerId, container, run } = place;
    const argv = ['sh', '-c', SHELL];
    const env = await environmentOf(place, database ?? firstOf(manifest), signal);
    const request = { containerId, container, run, argv, env, input: statement };
    return firstValue(await askClient(place, request, signal));
  },
};

function firstOf({ databases }: Manifest): string {
  return databases[0] ?? 'test';
}

async function environmentOf(
  place: ScratchPlace,
  database: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const how = { user: null, passwordFile: null, run: place.run };
  const { login } = await connect(place.docker, place, how, signal);
  return {
    // The shell writes to its home.
    HOME: '/tmp',
    BACKUPD_DATABASE: database,
    BACKUPD_USER: login?.user ?? '',
    BACKUPD_PASSWORD: login?.password ?? '',
  };
}
