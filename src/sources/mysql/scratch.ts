import type { ExecRequest } from '../../docker/exec.ts';
import { runExec } from '../../docker/run-exec.ts';
import { askClient, firstValue, type ScratchPlace, type ScratchRecipe } from '../scratch-recipe.ts';
import { quoteName } from './sql.ts';

/** How MySQL and MariaDB are started for a drill. */
function recipe(variable: 'MYSQL_ROOT_PASSWORD' | 'MARIADB_ROOT_PASSWORD'): ScratchRecipe {
  return {
    programs: ['mysqld', 'mariadbd'],
    keptVariables: [
      'MYSQL_INITDB_SKIP_TZINFO',
      'MARIADB_INITDB_SKIP_TZINFO',
      'LANG',
      'LC_ALL',
      'TZ',
    ],
    configPlaces: ['/etc/mysql', '/etc/my.cnf', '/etc/my.cnf.d'],
    droppedOptions: [],
    // Events that were restored must not begin to work.
    options: ['--event-scheduler=OFF', '--skip-networking=OFF', '--bind-address=127.0.0.1'],

    variables: (_manifest, password) => ({ [variable]: password }),

    async answers(place, _manifest, signal) {
      const request = { ...client(place), input: 'select 1;' };
      return (await runExec(place.docker, request, signal)).exitCode === 0;
    },

    async ask(place, { database, statement }, signal) {
      const use = database === null ? '' : `use ${quoteName(database)};\n`;
      const request = { ...client(place), input: `${use}${statement}\n` };
      return firstValue(await askClient(place, request, signal));
    },
  };
}

/** As the backup's own connection, but over TCP. */
function client({ containerId, container, run, password }: ScratchPlace): ExecRequest {
  const script = 'exec "$(command -v mariadb || command -v mysql)" "$@"';
  const options = ['--user=root', '--host=127.0.0.1', '--protocol=tcp', '--connect-timeout=10'];
  const format = ['--default-character-set=utf8mb4', '--batch', '--skip-column-names'];
  return {
    containerId,
    container,
    run,
    argv: ['sh', '-c', script, 'client', ...options, ...format],
    env: {
      LC_ALL: 'C',
      HOME: '/nonexistent',
      MYSQL_TEST_LOGIN_FILE: '/nonexistent',
      MYSQL_PWD: password,
    },
  };
}

export const MYSQL_SCRATCH = recipe('MYSQL_ROOT_PASSWORD');
export const MARIADB_SCRATCH = recipe('MARIADB_ROOT_PASSWORD');
