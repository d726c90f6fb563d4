import { startContainer, type ContainerOptions, type TestContainer } from './test-container.ts';

export interface MysqlOptions extends Omit<ContainerOptions, 'image'> {
  /** `mariadb:11.8`, `mysql:9.7`. */
  readonly image: string;
}

export interface Mysql extends TestContainer {
  /** The client's name in this image. */
  readonly client: string;
  /** Root's. */
  readonly password: string;
  /** The same as SQL. */
  readonly quotedPassword: string;
  /**
   * Runs SQL as root, by the client, `delimiter` and the like included; what it printed without column names, columns
   * separated by tabs. @throws Error at the first statement that fails.
   */
  sql(text: string, database?: string): Promise<string>;
}

const ROOT_PASSWORD = `te'st "\\`;

/** A MySQL or MariaDB server that answers; with the official environment: a root password, and a database `shop`. */
export async function startMysql(options: MysqlOptions): Promise<Mysql> {
  const isMariadb = options.image.startsWith('mariadb');
  const prefix = isMariadb ? 'MARIADB' : 'MYSQL';
  const container = await startContainer({
    ...options,
    env: {
      [`${prefix}_ROOT_PASSWORD`]: ROOT_PASSWORD,
      [`${prefix}_DATABASE`]: 'shop',
      ...options.env,
    },
    // Nothing here has to outlive a power failure.
    args: options.args ?? ['--innodb-flush-log-at-trx-commit=0', '--sync-binlog=0'],
  });
  const client = isMariadb ? 'mariadb' : 'mysql';
  try {
    await waitUntilReady(container, client);
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
  return {
    ...container,
    client,
    password: ROOT_PASSWORD,
    quotedPassword: `'${ROOT_PASSWORD.replaceAll(/['\\]/g, '\\$&')}'`,
    async sql(text, database = 'shop') {
      const { exitCode, stdout, stderr } = await container.exec(
        [
          client,
          '-uroot',
          '--default-character-set=utf8mb4',
          '--batch',
          // MariaDB's client leaves them out otherwise.
          '--comments',
          '--skip-column-names',
          database,
        ],
        // A .my.cnf that a test puts there is for others.
        { env: { MYSQL_PWD: ROOT_PASSWORD, HOME: '/nonexistent' }, input: text },
      );
      if (exitCode !== 0) {
        throw new Error(`${client} ended with ${exitCode}: ${stderr}`);
      }
      return stdout.replace(/\n$/, '');
    },
  };
}

/** Over TCP: while the entrypoint initialises, only the socket answers. @throws Error with the log when it does not come up. */
export async function waitUntilReady(container: TestContainer, client: string): Promise<void> {
  const loop = `
    until exec 3<>/dev/tcp/127.0.0.1/3306; do sleep 0.1; done 2>/dev/null
    until "$0" -uroot -h 127.0.0.1 --protocol=tcp -e 'select 1' >/dev/null 2>&1; do sleep 0.1; done`;
  const { exitCode } = await container.exec(['timeout', '90', 'bash', '-c', loop, client], {
    env: { MYSQL_PWD: ROOT_PASSWORD },
  });
  if (exitCode !== 0) {
    throw new Error(`the server in ${container.name} does not answer: ${await container.logs()}`);
  }
}
