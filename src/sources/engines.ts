import { BackupdError } from '../core/errors.ts';
import type { Engine } from '../core/target.ts';
import type { EngineDefinition, EngineModule } from './engine.ts';

/** What MySQL's images and MariaDB's each have with a prefix of their own. */
const MYSQL_VARIABLES = ['ROOT_PASSWORD', 'ROOT_PASSWORD_FILE', 'ALLOW_EMPTY_PASSWORD'];

/** Every engine there is; where two would do, the first one is meant. */
export const DEFINITIONS: readonly EngineDefinition[] = [
  {
    engine: 'postgres',
    images: /postg(?:res|is)|timescale|pgvector|citus/,
    variables: [
      'POSTGRES_PASSWORD',
      'POSTGRES_PASSWORD_FILE',
      'POSTGRES_HOST_AUTH_METHOD',
      'PGDATA',
    ],
    tools: ['pg_dump'],
    load: async () => (await import('./postgres/postgres.ts')).POSTGRES,
  },
  {
    // Also what speaks its protocol and has its tools in the container.
    engine: 'mongodb',
    images: /mongo(?!-?express)|ferretdb/,
    variables: [
      'MONGO_INITDB_ROOT_USERNAME',
      'MONGO_INITDB_ROOT_USERNAME_FILE',
      'MONGO_INITDB_DATABASE',
    ],
    tools: ['mongodump'],
    load: async () => (await import('./mongodb/mongodb.ts')).MONGODB,
  },
  {
    // Its images know the variables of MySQL's as well.
    engine: 'mariadb',
    images: /mariadb/,
    variables: [
      'MARIADB_ALLOW_EMPTY_ROOT_PASSWORD',
      ...MYSQL_VARIABLES.map((name) => `MARIADB_${name}`),
    ],
    tools: ['mariadb-dump'],
    load: async () => (await import('./mysql/mysql.ts')).MARIADB,
  },
  {
    // And what is built on it.
    engine: 'mysql',
    images: /mysql|percona/,
    variables: MYSQL_VARIABLES.map((name) => `MYSQL_${name}`),
    tools: ['mysqldump'],
    load: async () => (await import('./mysql/mysql.ts')).MYSQL,
  },
  {
    engine: 'volume',
    images: null,
    variables: [],
    tools: [],
    load: async () => (await import('./volume/volume.ts')).VOLUME,
  },
];

/** @throws BackupdError `format-unsupported` for one that this version does not know */
export async function loadEngine(engine: Engine): Promise<EngineModule> {
  const found = DEFINITIONS.find((definition) => definition.engine === engine);
  if (found === undefined) {
    throw new BackupdError('format-unsupported', `this backupd does not know ${engine}`, {
      hint: 'Use the backupd version that wrote the backup, or a newer one.',
    });
  }
  return found.load();
}
