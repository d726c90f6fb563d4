import { startContainer, type ContainerOptions, type TestContainer } from './test-container.ts';

export interface PostgresOptions extends Omit<ContainerOptions, 'image'> {
  /** Default: `postgres:17`. */
  readonly image?: string;
}

export interface Postgres extends TestContainer {
  /** The superuser of the container's environment. */
  readonly user: string;
  /** Empty where there is none. */
  readonly password: string;
  /** The database of the container's environment. */
  readonly database: string;
  /**
   * Runs SQL, or psql's own commands, as the superuser, each statement by itself; what it printed, without alignment,
   * columns separated by `|`. @throws Error at the first statement that fails.
   */
  sql(text: string, database?: string): Promise<string>;
}

/** A PostgreSQL server that answers; with the official environment, unless told otherwise: password `test`, database `shop`. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const env = { POSTGRES_PASSWORD: 'test', POSTGRES_DB: 'shop', ...options.env };
  const container = await startContainer({
    ...options,
    image: options.image ?? 'postgres:17',
    env,
    // Nothing here has to outlive a power failure.
    args: options.args ?? ['-c', 'fsync=off', '-c', 'max_wal_size=256MB'],
  });
  const server = postgresIn(container, env);
  try {
    await waitUntilReady(server);
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

/** For a shell in the target: by their names alone one gets Debian's wrapper, which takes ten times as long to begin. */
export const TOOLS = '/usr/lib/postgresql/$PG_MAJOR/bin';

/** The server in a container that something else started, with that container's environment. */
export function postgresIn(
  container: TestContainer,
  env: Readonly<Record<string, string>>,
): Postgres {
  const user = env['POSTGRES_USER'] ?? 'postgres';
  const database = env['POSTGRES_DB'] ?? user;
  const password = env['POSTGRES_PASSWORD'] ?? '';
  return {
    ...container,
    user,
    password,
    database,
    async sql(text, inDatabase = database) {
      const psql = `exec ${TOOLS}/psql --no-psqlrc -qAt -v ON_ERROR_STOP=1 -f -`;
      const { exitCode, stdout, stderr } = await container.exec(['sh', '-c', psql], {
        env: { PGDATABASE: inDatabase, PGUSER: user, PGPASSWORD: password },
        input: text,
      });
      if (exitCode !== 0) {
        throw new Error(`psql ended with ${exitCode}: ${stderr}`);
      }
      return stdout.replace(/\n$/, '');
    },
  };
}

/** Over TCP: while the entrypoint initialises, only the socket answers. @throws Error with the log when it does not come up. */
export async function waitUntilReady(server: Postgres): Promise<void> {
  const loop = `
    until exec 3<>/dev/tcp/127.0.0.1/5432; do sleep 0.1; done 2>/dev/null
    until ${TOOLS}/pg_isready -q -h 127.0.0.1 -U "$0" -d postgres; do sleep 0.1; done`;
  const { exitCode } = await server.exec(['timeout', '60', 'bash', '-c', loop, server.user]);
  if (exitCode !== 0) {
    throw new Error(`the server in ${server.name} does not answer: ${await server.logs()}`);
  }
}
