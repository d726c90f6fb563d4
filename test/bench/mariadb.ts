import { startMysql, type Mysql } from '../support/mysql.ts';
import type { BenchEngine } from './engine.ts';
import { mariadbShopSql } from './mariadb-data.ts';

/** Its default configuration: what tests switch off is part of what a restore costs. */
export const MARIADB: BenchEngine<Mysql> = {
  name: 'MariaDB',
  start: async () => startMysql({ image: 'mariadb:11.8', args: [] }),
  async fill(server, database, scale) {
    await server.sql(`create database ${database}`, 'mysql');
    await server.sql(mariadbShopSql(scale), database);
  },
  version: async (server) => server.sql('select version()'),
  source: ({ name }, database) => `mariadb://${name}/${database}`,
  restoreArgs: () => [],
  backup: [
    {
      name: 'mariadb-dump | zstd -3 | tee >(sha256sum) > file; sync',
      script:
        'docker exec -e MYSQL_PWD="$3" "$1" mariadb-dump -uroot --single-transaction --routines --events --triggers large | zstd -q -3 | tee >(sha256sum >"$2.sha256") >"$2"',
      args: ({ password }) => [password],
      atMost: 0.7,
    },
  ],
  restore: {
    name: 'zstd -dc file | mariadb; sync',
    file: /^large\.sql\.zst$/,
    script:
      'zstd -dc "$2" | docker exec -i -e MYSQL_PWD="$3" "$1" mariadb -uroot --default-character-set=utf8mb4 --binary-mode by_hand',
    args: ({ password }) => [password],
    atMost: 1.3,
    async before(server) {
      await server.sql('create database by_hand', 'mysql');
    },
    async after(server) {
      await server.sql('drop database by_hand', 'mysql');
    },
  },
};
