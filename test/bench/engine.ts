import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDaemon, type Daemon } from '../support/backupd.ts';
import type { TestContainer } from '../support/test-container.ts';
import { fight, settle } from './fight.ts';
import { checkLimit, type Measured } from './findings.ts';
import type { Contender, Course } from './rounds.ts';
import { commandPeakMb, PEAK_VOLUME, time } from './stage.ts';

/** An engine, and what its users do without backupd. The databases are called as the scales. */
export interface BenchEngine<Server extends TestContainer> {
  /** For people: `MariaDB`. */
  readonly name: string;
  start(): Promise<Server>;
  /** Makes a database; scale 1: as much as the limits are for. */
  fill(server: Server, database: string, scale: number): Promise<void>;
  version(server: Server): Promise<string>;
  /** As in BACKUPD_SOURCES. */
  source(server: Server, database: string): string;
  /** What our restore needs besides. */
  restoreArgs(server: Server): readonly string[];
  readonly backup: readonly Peer<Server>[];
  readonly restore: Peer<Server> & {
    /** The archive among the files of a backup. */
    readonly file: RegExp;
    readonly before: (server: Server) => Promise<void>;
    readonly after: (server: Server) => Promise<void>;
  };
}

interface Peer<Server> {
  readonly name: string;
  /** In bash: `$1` is the container, `$2` a file on the host, the rest what `args` gives. */
  readonly script: string;
  readonly args: (server: Server) => readonly string[];
  readonly atMost: number;
}

const PEAK_MB = 170;

interface Stage<Server> {
  readonly server: Server;
  readonly daemon: Daemon;
  /** The host's path of `/backups`. */
  readonly backups: string;
  /** For the peers' files, on the same disk. */
  readonly byHand: string;
}

/** A backup and a restore, each against what is done without backupd. */
export async function measureEngine<Server extends TestContainer>(
  engine: BenchEngine<Server>,
  { scales, rounds, say }: Course,
): Promise<Measured> {
  const { name } = engine;
  say(`${name}: making data`);
  await using stack = new AsyncDisposableStack();
  const stage = await setStage(engine, scales, stack);
  const { server, daemon } = stage;
  const parts = {
    'small backup': await commandPeakMb(stage, ['backup', 'small']),
    'large backup': await commandPeakMb(stage, ['backup', 'large']),
    'large restore': await commandPeakMb(stage, [
      'restore',
      'large',
      ...engine.restoreArgs(server),
    ]),
  };
  await daemon.cli(['restore', 'large', '--drop-previous', '--yes']);
  for (const [what, peak] of Object.entries(parts)) {
    say(`${name}: peak memory: ${what}: ${peak.toFixed(0)} MB`);
  }
  const backups = await fight(
    await backupContenders(engine, stage),
    { work: `${name}: backup`, limits: engine.backup.map(({ atMost }) => atMost) },
    { rounds, say },
  );
  const restores = await fight(
    await restoreContenders(engine, stage),
    { work: `${name}: restore`, limits: [engine.restore.atMost] },
    { rounds, say },
  );
  const { stdout } = await daemon.cli(['list', 'large', '--json']);
  const [newest] = JSON.parse(stdout) as readonly { readonly dumpBytes: number }[];
  return {
    findings: [
      ...backups,
      ...restores,
      checkLimit(`${name}: peak memory`, { parts, unit: 'MB' }, PEAK_MB),
    ],
    notes: [
      `- ${name}: a shop whose dump has ${((newest?.dumpBytes ?? 0) / 1e9).toFixed(2)} GB (${await engine.version(server)}), the server in its default configuration; by hand it is restored into an empty
  database, and compared with nothing.`,
    ],
  };
}

async function backupContenders<Server extends TestContainer>(
  { backup }: BenchEngine<Server>,
  { server, daemon, byHand }: Stage<Server>,
): Promise<readonly Contender[]> {
  const folder = await mkdtemp(join(byHand, 'backup-'));
  return [
    {
      name: 'backupd backup',
      async run() {
        await settle();
        return time('docker exec "$1" backupd backup large', daemon.name);
      },
    },
    ...backup.map(({ name, script, args }) => ({
      name,
      async run() {
        await settle();
        const seconds = await time(script, server.name, join(folder, 'dump'), ...args(server));
        await rm(folder, { recursive: true });
        await mkdir(folder);
        return seconds;
      },
    })),
  ];
}

async function restoreContenders<Server extends TestContainer>(
  engine: BenchEngine<Server>,
  { server, daemon, backups }: Stage<Server>,
): Promise<readonly Contender[]> {
  const { restore } = engine;
  const ids = (await readdir(join(backups, 'large'))).toSorted();
  const folder = join(backups, 'large', ids.at(-1) ?? '');
  const file = (await readdir(folder)).find((name) => restore.file.test(name));
  const archive = join(folder, file ?? '');
  const ours = ['restore', 'large', ...engine.restoreArgs(server)];
  return [
    {
      name: 'backupd restore',
      async run() {
        await settle();
        const seconds = await time('docker exec "$1" backupd "${@:2}"', daemon.name, ...ours);
        await time('docker exec "$1" backupd restore large --drop-previous --yes', daemon.name);
        return seconds;
      },
    },
    {
      name: restore.name,
      async run() {
        await restore.before(server);
        await settle();
        const seconds = await time(restore.script, server.name, archive, ...restore.args(server));
        await restore.after(server);
        return seconds;
      },
    },
  ];
}

async function setStage<Server extends TestContainer>(
  engine: BenchEngine<Server>,
  scales: Course['scales'],
  stack: AsyncDisposableStack,
): Promise<Stage<Server>> {
  const folder = await mkdtemp(join(tmpdir(), 'backupd-bench-'));
  stack.defer(async () => rm(folder, { recursive: true, force: true }));
  const backups = join(folder, 'backups');
  const byHand = join(folder, 'by-hand');
  await mkdir(byHand);
  const server = stack.use(await engine.start());
  for (const [database, scale] of Object.entries(scales)) {
    await engine.fill(server, database, scale);
  }
  const sources = Object.keys(scales).map((name) => `${name}=${engine.source(server, name)}`);
  const daemon = stack.use(
    await startDaemon({
      backups,
      env: { BACKUPD_SOURCES: sources.join(' '), BACKUPD_SCHEDULE: 'off' },
      volumes: [PEAK_VOLUME],
    }),
  );
  return { server, daemon, backups, byHand };
}
