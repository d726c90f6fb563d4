import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDaemon, type Daemon } from '../support/backupd.ts';
import { runProcess } from '../support/run-process.ts';
import type { TestContainer } from '../support/test-container.ts';
import { checkLimit, compareTimes, type Finding } from './findings.ts';
import { runRounds, teller, type Contender } from './rounds.ts';
import { commandPeakMb, time } from './stage.ts';

/** What is to be measured. */
export interface EngineCourse {
  readonly scales: { readonly small: number; readonly large: number };
  readonly rounds: number;
  readonly say: (line: string) => void;
}

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

export interface EngineFindings {
  readonly findings: readonly Finding[];
  readonly name: string;
  readonly version: string;
  /** Of the large database. */
  readonly dumpBytes: number;
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
  { scales, rounds, say }: EngineCourse,
): Promise<EngineFindings> {
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
    { work: `${name}: backup`, rounds, limits: engine.backup.map(({ atMost }) => atMost) },
    say,
  );
  const restores = await fight(
    await restoreContenders(engine, stage),
    { work: `${name}: restore`, rounds, limits: [engine.restore.atMost] },
    say,
  );
  const { stdout } = await daemon.cli(['list', 'large', '--json']);
  const [newest] = JSON.parse(stdout) as readonly { readonly dumpBytes: number }[];
  return {
    findings: [
      ...backups,
      ...restores,
      checkLimit(`${name}: peak memory`, { parts, unit: 'MB' }, PEAK_MB),
    ],
    name,
    version: await engine.version(server),
    dumpBytes: newest?.dumpBytes ?? 0,
  };
}

/** Ours is the first of the contenders, the limits are those of the others. */
async function fight(
  contenders: readonly Contender[],
  {
    work,
    rounds,
    limits,
  }: { readonly work: string; readonly rounds: number; readonly limits: readonly number[] },
  say: EngineCourse['say'],
): Promise<readonly Finding[]> {
  const [ours, ...peers] = await runRounds(contenders, rounds, teller(say, `${work}: `));
  if (ours === undefined) {
    throw new Error('a contender is missing');
  }
  return peers.map((peer, index) =>
    compareTimes(work, { ours, peer }, limits[index] ?? Number.NaN),
  );
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

/** Nothing that was done before is left to be written while something is measured. */
async function settle(): Promise<void> {
  await runProcess(['sync']);
}

async function setStage<Server extends TestContainer>(
  engine: BenchEngine<Server>,
  scales: EngineCourse['scales'],
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
      volumes: [`${join(import.meta.dirname, 'peak.ts')}:/bench/peak.ts:ro`],
    }),
  );
  return { server, daemon, backups, byHand };
}
