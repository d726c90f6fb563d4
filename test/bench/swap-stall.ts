import { startDaemon } from '../support/backupd.ts';
import { startMysql, type Mysql } from '../support/mysql.ts';
import { testVolume } from '../support/test-container.ts';
import { docker } from '../support/run-process.ts';
import { waitFor } from '../support/wait-for.ts';
import type { Measured } from './findings.ts';
import type { Course } from './rounds.ts';

const TABLES = 200;
const CLIENTS = 4;
const OUTPUT = '/tmp/client-';

interface SwapStall {
  /** The longest time between two statements of one client, in milliseconds. */
  readonly longestMs: number;
  readonly statements: number;
  /** What a client was refused; empty where nothing ever was missing. */
  readonly refused: string;
}

/** How long clients wait while what they write into is swapped. */
export async function measureSwaps({ say }: Pick<Course, 'say'>): Promise<Measured> {
  const notes: string[] = [];
  for (const image of ['mariadb:11.8', 'mysql:9.7']) {
    const { longestMs, statements, refused } = await measureSwapStall(image);
    const missing = refused === '' ? 'no statement was refused' : `refused: ${refused}`;
    say(`swap of ${image}: ${longestMs.toFixed(0)} ms`);
    notes.push(`- The swap of ${image}, ${TABLES} tables with a trigger each, while four clients write into them: the longest wait of a client was ${longestMs.toFixed(0)} ms
  (of ${statements} statements; ${missing}).`);
  }
  return { findings: [], notes };
}

/** How long clients that write into a database, each table of which has a trigger, wait while it is swapped. */
async function measureSwapStall(image: string): Promise<SwapStall> {
  await using server = await startMysql({ image, args: [] });
  const all = Array.from({ length: TABLES }, (_, n) => n);
  await server.sql(
    [
      'create table counted (t int, n bigint, primary key (t, n));',
      ...all.flatMap((n) => [
        `create table t${n} (n bigint auto_increment primary key);`,
        `create trigger c${n} after insert on t${n} for each row insert into counted values (${n}, new.n);`,
      ]),
    ].join('\n'),
  );
  await using volume = await testVolume();
  await using daemon = await startDaemon({
    backups: volume.name,
    env: {
      BACKUPD_SOURCES: `db=${image.split(':')[0] ?? ''}://${server.name}/shop`,
      BACKUPD_SCHEDULE: 'off',
    },
  });
  await succeed(daemon.cli(['backup', 'db']));
  for (let client = 0; client < CLIENTS; client += 1) {
    await startClient(server, client);
  }
  await waitFor('clients', async () =>
    (await readClients(server)).every(({ at }) => at.length > 100),
  );
  await succeed(daemon.cli(['restore', 'db', '--yes']));
  const before = (await readClients(server)).map(({ at }) => at.length);
  await waitFor('clients after the swap', async () =>
    (await readClients(server)).every(({ at }, client) => at.length > (before[client] ?? 0) + 100),
  );
  const clients = await readClients(server);
  const gaps = clients.flatMap(({ at }) =>
    at.slice(1).map((ms, index) => ms - (at[index] ?? Number.NaN)),
  );
  return {
    longestMs: Math.max(...gaps),
    statements: clients.reduce((sum, { at }) => sum + at.length, 0),
    refused: clients.map(({ refused }) => refused).join(''),
  };
}

async function succeed(
  ending: Promise<{ exitCode: number | null; stderr: string }>,
): Promise<void> {
  const { exitCode, stderr } = await ending;
  if (exitCode !== 0) {
    throw new Error(`backupd ended with ${exitCode ?? 'no code'}: ${stderr}`);
  }
}

/** Writes into one table after the other for as long as the server lives, and prints when each was done. */
async function startClient(server: Mysql, client: number): Promise<void> {
  const script = `
    while :; do
      n=0
      while [ "$n" -lt ${TABLES} ]; do
        echo "insert into t$n () values (); select unix_timestamp(sysdate(6));"
        n=$((n + 1))
      done
    done | "$0" -uroot --force --unbuffered --batch --skip-column-names shop >${OUTPUT}${client} 2>${OUTPUT}${client}.refused`;
  const env = ['--env', `MYSQL_PWD=${server.password}`, '--env', 'HOME=/nonexistent'];
  await docker('exec', '--detach', ...env, server.name, 'sh', '-c', script, server.client);
}

interface ClientRecord {
  /** When each statement was done, in milliseconds. */
  readonly at: readonly number[];
  readonly refused: string;
}

async function readClients(server: Mysql): Promise<readonly ClientRecord[]> {
  return Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const { stdout } = await server.exec(['cat', `${OUTPUT}${client}`]);
      const refused = await server.exec(['cat', `${OUTPUT}${client}.refused`]);
      const at = stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => Number(line) * 1000);
      return { at, refused: refused.stdout };
    }),
  );
}
