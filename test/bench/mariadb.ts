import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDaemon, type Daemon } from '../support/backupd.ts';
import { startMysql, type Mysql } from '../support/mysql.ts';
import { runProcess } from '../support/run-process.ts';
import { checkLimit, compareTimes, type Finding } from './findings.ts';
import { mariadbShopSql } from './mariadb-data.ts';
import { runRounds, teller } from './rounds.ts';
import { commandPeakMb, time } from './stage.ts';

/** What is to be measured. */
export interface MariadbCourse {
  readonly scales: { readonly small: number; readonly large: number };
  readonly rounds: number;
  readonly say: (line: string) => void;
}

export interface MariadbFindings {
  readonly findings: readonly Finding[];
  readonly version: string;
  /** Of the large database, in bytes. */
  readonly dumpBytes: number;
}

interface Stage extends AsyncDisposable {
  readonly server: Mysql;
  readonly daemon: Daemon;
  /** The host's path of `/backups`. */
  readonly backups: string;
  /** For the peers' files, on the same disk. */
  readonly byHand: string;
}

/** A backup and a restore of MariaDB, each against what is done without backupd. */
export async function measureMariadb({
  scales,
  rounds,
  say,
}: MariadbCourse): Promise<MariadbFindings> {
  say(`MariaDB: making ${scales.large} GB of rows`);
  await using stage = await setStage(scales);
  const { server, daemon } = stage;
  const parts = {
    [`command ${scales.small} GB`]: await commandPeakMb(stage, ['backup', 'small']),
    [`command ${scales.large} GB`]: await commandPeakMb(stage, ['backup', 'large']),
    [`restore ${scales.large} GB`]: await commandPeakMb(stage, ['restore', 'large']),
  };
  await daemon.cli(['restore', 'large', '--drop-previous', '--yes']);
  for (const [what, peak] of Object.entries(parts)) {
    say(`MariaDB: peak memory: ${what}: ${peak.toFixed(0)} MB`);
  }
  const backup = await measureBackup(stage, rounds, say);
  const restore = await measureRestore(stage, rounds, say);
  const { stdout } = await daemon.cli(['list', 'large', '--json']);
  const [newest] = JSON.parse(stdout) as readonly { readonly dumpBytes: number }[];
  return {
    findings: [backup, restore, checkLimit('MariaDB: peak memory', { parts, unit: 'MB' }, 170)],
    version: await server.sql('select version()'),
    dumpBytes: newest?.dumpBytes ?? 0,
  };
}

async function measureBackup(
  stage: Stage,
  rounds: number,
  say: MariadbCourse['say'],
): Promise<Finding> {
  const { server, daemon, byHand } = stage;
  const file = join(byHand, 'dump');
  const script =
    'docker exec -e MYSQL_PWD="$2" "$1" mariadb-dump -uroot --single-transaction --routines --events --triggers large | zstd -q -3 | tee >(sha256sum >"$3.sha256") >"$3"';
  const contenders = [
    {
      name: 'backupd backup',
      async run() {
        await settle();
        return time('docker exec "$1" backupd backup large', daemon.name);
      },
    },
    {
      name: 'mariadb-dump | zstd -3 | tee >(sha256sum) > file; sync',
      async run() {
        await settle();
        const seconds = await time(script, server.name, server.password, file);
        await Promise.all(['', '.sha256'].map(async (end) => rm(file + end, { force: true })));
        return seconds;
      },
    },
  ];
  const [ours, peer] = await runRounds(contenders, rounds, teller(say, 'MariaDB: '));
  if (ours === undefined || peer === undefined) {
    throw new Error('a contender is missing');
  }
  return compareTimes('MariaDB: backup', { ours, peer }, 0.7);
}

async function measureRestore(
  stage: Stage,
  rounds: number,
  say: MariadbCourse['say'],
): Promise<Finding> {
  const { server, daemon, backups } = stage;
  const ids = (await readdir(join(backups, 'large'))).toSorted();
  const archive = join(backups, 'large', ids.at(-1) ?? '', 'large.sql.zst');
  const contenders = [
    {
      name: 'backupd restore',
      async run() {
        await settle();
        const seconds = await time('docker exec "$1" backupd restore large', daemon.name);
        await time('docker exec "$1" backupd restore large --drop-previous --yes', daemon.name);
        return seconds;
      },
    },
    {
      name: 'zstd -dc file | mariadb; sync',
      async run() {
        await server.sql('create database by_hand', 'mysql');
        await settle();
        const script =
          'zstd -dc "$1" | docker exec -i -e MYSQL_PWD="$3" "$2" mariadb -uroot --default-character-set=utf8mb4 --binary-mode by_hand';
        const seconds = await time(script, archive, server.name, server.password);
        await server.sql('drop database by_hand', 'mysql');
        return seconds;
      },
    },
  ];
  const [ours, peer] = await runRounds(contenders, rounds, teller(say, 'MariaDB: '));
  if (ours === undefined || peer === undefined) {
    throw new Error('a contender is missing');
  }
  return compareTimes('MariaDB: restore', { ours, peer }, 1.3);
}

/** Nothing that was done before is left to be written while something is measured. */
async function settle(): Promise<void> {
  await runProcess(['sync']);
}

async function setStage(scales: MariadbCourse['scales']): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'backupd-bench-'));
  stack.defer(async () => rm(folder, { recursive: true, force: true }));
  const backups = join(folder, 'backups');
  const byHand = join(folder, 'by-hand');
  await mkdir(byHand);
  // As it is shipped: what tests switch off is part of what a restore costs.
  const server = stack.use(await startMysql({ image: 'mariadb:11.8', args: [] }));
  for (const [name, scale] of Object.entries(scales)) {
    await server.sql(`create database ${name}`, 'mysql');
    await server.sql(mariadbShopSql(scale), name);
  }
  const sources = Object.keys(scales).map((name) => `${name}=mariadb://${server.name}/${name}`);
  const daemon = stack.use(
    await startDaemon({
      backups,
      env: { BACKUPD_SOURCES: sources.join(' '), BACKUPD_SCHEDULE: 'off' },
      volumes: [`${join(import.meta.dirname, 'peak.ts')}:/bench/peak.ts:ro`],
    }),
  );
  const kept = stack.move();
  return {
    server,
    daemon,
    backups,
    byHand,
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}
