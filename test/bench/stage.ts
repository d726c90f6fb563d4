import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDaemon, type Daemon } from '../support/backupd.ts';
import { startPostgres, type Postgres } from '../support/postgres.ts';
import { runProcess } from '../support/run-process.ts';
import { shopSql } from './postgres-data.ts';

/** A database of the server, which is a source of the same name. */
export interface Shop {
  readonly name: 'small' | 'large';
  readonly scale: number;
}

/** A PostgreSQL server with a database for each size, backupd beside it, and a folder that both it and the peers write to. */
export interface Stage extends AsyncDisposable {
  readonly server: Postgres;
  /** Runs nothing by itself. */
  readonly daemon: Daemon;
  /** The host's path of `/backups`. */
  readonly backups: string;
  /** For the peers' files, on the same disk. */
  readonly byHand: string;
  /** Another backupd with a `/backups` of its own, for which this database, or null for all of the server's, is a new source. */
  startFresh(shop: Shop | null): Promise<Daemon>;
}

export async function setStage(shops: readonly Shop[]): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'backupd-bench-'));
  stack.defer(async () => rm(folder, { recursive: true, force: true }));
  const backups = join(folder, 'backups');
  const byHand = join(folder, 'by-hand');
  await mkdir(byHand);
  // As it is shipped: what tests switch off (fsync) is part of what a restore costs.
  const server = stack.use(await startPostgres({ args: [] }));
  for (const { name, scale } of shops) {
    await server.sql(`create database ${name}`, 'postgres');
    await server.sql(shopSql(scale), name);
  }
  const sources = shops.map(({ name }) => `${name}=postgres://${server.name}/${name}`);
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
    async startFresh(shop) {
      const own = await mkdtemp(join(folder, 'fresh-'));
      const path = shop === null ? '' : `/${shop.name}`;
      return startDaemon({
        backups: own,
        env: { BACKUPD_SOURCES: `fresh=postgres://${server.name}${path}` },
      });
    },
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

/**
 * Runs a script in bash, where `$1`... are the given arguments, and what it wrote is on the disk.
 * @returns seconds
 * @throws Error with its stderr where any of its commands failed
 */
export async function time(script: string, ...args: readonly string[]): Promise<number> {
  const whole = `set -euo pipefail\n${script}\nsync`;
  const { exitCode, stderr, durationMs } = await runProcess([
    'bash',
    '-c',
    whole,
    'bench',
    ...args,
  ]);
  if (exitCode !== 0) {
    throw new Error(`"${script}" ended with ${exitCode}: ${stderr}`);
  }
  return durationMs / 1000;
}

/** Nothing that was done before is left to be written while something is measured. */
export async function settle({ server }: Stage): Promise<void> {
  await server.sql('checkpoint', 'postgres');
  await runProcess(['sync']);
}

/** The host's path of the newest archive of a database. */
export async function newestArchive({ backups }: Stage, { name }: Shop): Promise<string> {
  const ids = (await readdir(join(backups, name))).toSorted();
  return join(backups, name, ids.at(-1) ?? '', `${name}.dump.zst`);
}

/** What the process of a command in the daemon's container takes at most, in MB. @throws Error where the command failed */
export async function commandPeakMb(
  { daemon, backups }: { readonly daemon: Daemon; readonly backups: string },
  args: readonly string[],
): Promise<number> {
  const { exitCode, stderr } = await daemon.cli(args, {
    env: { NODE_OPTIONS: '--import /bench/peak.ts' },
  });
  if (exitCode !== 0) {
    throw new Error(`backupd ${args.join(' ')} failed: ${stderr}`);
  }
  const path = join(backups, '.peak');
  const peaks = (await readFile(path, 'utf8')).trim().split('\n').map(Number);
  await rm(path);
  return (Math.max(...peaks) * 1024) / 1e6;
}

/** A line of `/proc/PID/status` of the daemon, in bytes. */
export async function daemonMemory(daemon: Daemon, field: 'VmHWM' | 'VmRSS'): Promise<number> {
  // The init's only child.
  const script = `cat "/proc/$(cat /proc/1/task/1/children | tr -d ' ')/status"`;
  const { stdout, stderr } = await daemon.exec(['sh', '-c', script]);
  const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(stdout) ?? [];
  if (kib === undefined) {
    throw new Error(`the daemon's memory cannot be read: ${stdout}${stderr}`);
  }
  return Number(kib) * 1024;
}
