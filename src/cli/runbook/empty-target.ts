import type { Manifest } from '../../core/manifest.ts';
import { quote } from './markdown.ts';

/** How an empty server of an engine is started, and what in it says that it is there. */
interface Server {
  readonly options: string;
  readonly ask: string;
}

/**
 * The official images first start a server that only they use, on the socket alone; that of MongoDB on 127.0.0.1 too.
 * So each is asked where only the real one answers.
 */
const SERVERS: Readonly<Record<Exclude<Manifest['engine'], 'volume'>, Server>> = {
  postgres: {
    options: '-e POSTGRES_PASSWORD=change-me',
    ask: 'pg_isready -h 127.0.0.1',
  },
  mysql: {
    options: '-e MYSQL_ROOT_PASSWORD=change-me',
    ask: `sh -c 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql -h 127.0.0.1 -e "select 1"'`,
  },
  mariadb: {
    options: '-e MARIADB_ROOT_PASSWORD=change-me',
    ask: `sh -c 'MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb -h 127.0.0.1 -e "select 1"'`,
  },
  mongodb: {
    options: '-e MONGO_INITDB_ROOT_USERNAME=root -e MONGO_INITDB_ROOT_PASSWORD=change-me',
    ask: `sh -c 'mongodump -h "$HOSTNAME" -u "$MONGO_INITDB_ROOT_USERNAME" -p "$MONGO_INITDB_ROOT_PASSWORD" -d none --archive >/dev/null'`,
  },
};

/** The commands that make an empty target and wait until it is there, and how it is called. */
export function emptyTarget(
  source: string,
  { engine, target }: Manifest,
  suffix: string,
): { readonly name: string; readonly start: readonly string[] } {
  const name = `new-${source}-${suffix}`;
  if (engine === 'volume' || 'volume' in target) {
    return { name, start: [`docker volume create ${name}`] };
  }
  const { options, ask } = SERVERS[engine];
  return {
    name,
    start: [
      `docker run -d --name ${name} ${options} ${quote(target.image)}`,
      `until docker exec ${name} ${ask}; do sleep 1; done`,
    ],
  };
}
