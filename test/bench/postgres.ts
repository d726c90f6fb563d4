import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../support/wait-for.ts';
import { checkLimit, compareTimes, showSpread, type Finding, type Measured } from './findings.ts';
import {
  ratioOf,
  runRounds,
  spreadOf,
  teller,
  type Contender,
  type Course,
  type Spread,
} from './rounds.ts';
import {
  daemonMemory,
  describeShop,
  newestArchive,
  setStage,
  settle,
  commandPeakMb,
  time,
  type Shop,
  type Stage,
} from './stage.ts';

/** What it is measured with. */
interface Place extends Course {
  readonly stage: Stage;
  readonly small: Shop;
  readonly large: Shop;
}

/** Backups and restores of PostgreSQL, and what of backupd depends on no engine. */
export async function measurePostgres(course: Course): Promise<Measured> {
  const small: Shop = { name: 'small', scale: course.scales.small };
  const large: Shop = { name: 'large', scale: course.scales.large };
  course.say(`PostgreSQL: making ${large.scale} GB of rows`);
  await using stage = await setStage([small, large]);
  const place: Place = { ...course, stage, small, large };
  // Memory first: the rounds need a backup, and the daemon is not to have done anything yet.
  const idle = await measureIdle(place);
  const peaks = await measurePeaks(place);
  const backup = await measureBackup(place);
  const restore = await measureRestore(place);
  return {
    findings: [...backup.findings, restore, ...peaks, ...idle],
    notes: await describe(stage, large, backup.floor),
  };
}

async function describe(
  { server }: Stage,
  large: Shop,
  floor: BackupFindings['floor'],
): Promise<readonly string[]> {
  const version = await server.sql('show server_version');
  return [
    `- PostgreSQL: ${await describeShop(server, large)}, in PostgreSQL ${version} with its
  default configuration; the small one for peak memory has a tenth of that.`,
    `- The dump tool by itself, \`pg_dump -Fc -Z0 >/dev/null\` in the container, took ${showSpread(floor.seconds, 1)} s, which is ${showSpread(floor.part, 2)} of \`pg_dump -Fc\`
  with \`gzip\`: what a backup takes above that is compression, the check, and the disk, on the same cores.`,
    `- A restore by hand is into an empty database; backupd's checks the hash of the archive, loads it beside what is there, gathers statistics
  (\`ANALYZE\`), counts every row, and swaps.`,
    `- Peak memory is \`VmHWM\` of the process inside the container, idle memory \`VmRSS\` half a minute after start and 20 scrapes,
  the start is measured inside the container. The largest backup is one of all databases of a server, among them three of the large size.`,
  ];
}

/** What measuring backups gave. */
interface BackupFindings {
  readonly findings: readonly Finding[];
  /** How long the dump tool takes by itself, in relation to the slower peer. */
  readonly floor: { readonly seconds: Spread; readonly part: Spread };
}

/** A backup, against what is done without backupd. */
async function measureBackup({ stage, large, rounds, say }: Place): Promise<BackupFindings> {
  const { server, daemon, byHand } = stage;
  const file = join(byHand, 'dump');
  const byHands = [
    {
      name: 'pg_dump | zstd -3 | tee >(sha256sum) > file; sync',
      script:
        'docker exec "$1" pg_dump -U postgres "$2" | zstd -q -3 | tee >(sha256sum >"$3.sha256") >"$3"',
    },
    {
      name: 'pg_dump -Fc > file; gzip file; sync',
      script: 'docker exec "$1" pg_dump -U postgres -Fc "$2" >"$3"; gzip "$3"',
    },
    {
      name: 'pg_dump -Fc -Z0 >/dev/null',
      script: 'docker exec "$1" sh -c \'pg_dump -U postgres -Fc -Z0 "$0" >/dev/null\' "$2"',
    },
  ] as const;
  const contenders: readonly Contender[] = [
    {
      name: 'backupd backup',
      async run() {
        await settle(stage);
        return time('docker exec "$1" backupd backup "$2"', daemon.name, large.name);
      },
    },
    ...byHands.map(({ name, script }) => ({
      name,
      async run() {
        await settle(stage);
        const seconds = await time(script, server.name, large.name, file);
        await Promise.all(
          ['', '.sha256', '.gz'].map(async (end) => rm(file + end, { force: true })),
        );
        return seconds;
      },
    })),
  ];
  const [ours, zstd, gzip, tool] = await runRounds(contenders, rounds, teller(say));
  if (ours === undefined || zstd === undefined || gzip === undefined || tool === undefined) {
    throw new Error('a contender is missing');
  }
  return {
    findings: [
      compareTimes('backup', { ours, peer: zstd }, 0.7),
      compareTimes('backup', { ours, peer: gzip }, 0.25),
    ],
    floor: { seconds: spreadOf(tool.seconds), part: ratioOf(tool, gzip) },
  };
}

/** A restore of the newest backup: beside, compared, swapped; against the same archive into an empty database by hand. */
async function measureRestore({ stage, large, rounds, say }: Place): Promise<Finding> {
  const { server, daemon } = stage;
  const archive = await newestArchive(stage, large);
  const contenders: readonly Contender[] = [
    {
      name: 'backupd restore',
      async run() {
        await settle(stage);
        const seconds = await time(
          'docker exec "$1" backupd restore "$2"',
          daemon.name,
          large.name,
        );
        await time(
          'docker exec "$1" backupd restore "$2" --drop-previous --yes',
          daemon.name,
          large.name,
        );
        return seconds;
      },
    },
    {
      name: 'zstd -dc file | pg_restore; sync',
      async run() {
        await server.sql('create database by_hand template template0', 'postgres');
        await settle(stage);
        const script = 'zstd -dc "$1" | docker exec -i "$2" pg_restore -U postgres -d by_hand';
        const seconds = await time(script, archive, server.name);
        await server.sql('drop database by_hand', 'postgres');
        return seconds;
      },
    },
  ];
  const [ours, peer] = await runRounds(contenders, rounds, teller(say));
  if (ours === undefined || peer === undefined) {
    throw new Error('a contender is missing');
  }
  return compareTimes('restore', { ours, peer }, 1.15);
}

/** What the process takes at most for a backup: by the command, and in the daemon, where it is one of many things. */
async function measurePeaks(course: Place): Promise<readonly Finding[]> {
  const { stage, small, large, say } = course;
  const copies = ['large_2', 'large_3'];
  const command = {
    small: await commandPeakMb(stage, ['backup', small.name]),
    large: await commandPeakMb(stage, ['backup', large.name]),
  };
  const daemon = { small: await daemonPeak(stage, small), large: await daemonPeak(stage, large) };
  for (const copy of copies) {
    await stage.server.sql(`create database ${copy} template ${large.name}`, 'postgres');
  }
  const allOfServer = await daemonPeak(stage, null);
  for (const copy of copies) {
    await stage.server.sql(`drop database ${copy}`, 'postgres');
  }
  const allScale = small.scale + large.scale * (1 + copies.length);
  const parts = {
    [`command ${small.scale} GB`]: command.small,
    [`command ${large.scale} GB`]: command.large,
    [`daemon ${small.scale} GB`]: daemon.small,
    [`daemon ${large.scale} GB`]: daemon.large,
    [`daemon ${allScale.toFixed(1)} GB`]: allOfServer,
  };
  for (const [what, peak] of Object.entries(parts)) {
    say(`peak memory: ${what}: ${peak.toFixed(0)} MB`);
  }
  const tenTimes = {
    command: Math.max(0, command.large - command.small),
    daemon: Math.max(0, daemon.large - daemon.small),
  };
  const three = { daemon: Math.max(0, allOfServer - daemon.large) };
  return [
    checkLimit('peak memory of a backup', { parts, unit: 'MB' }, 160),
    checkLimit('what ten times the data adds to it', { parts: tenTimes, unit: 'MB' }, FLAT_MB),
    checkLimit('what three times as much again adds', { parts: three, unit: 'MB' }, FLAT_MB),
  ];
}

/** In MB; null: a backup of all databases of the server. */
async function daemonPeak(stage: Stage, shop: Shop | null): Promise<number> {
  await using fresh = await stage.startFresh(shop);
  await waitFor(
    'first backup by the daemon',
    async () =>
      /^backupd_backup_last_attempt_success\{.*\} 1$/m.test(
        await (await fresh.get('/metrics')).text(),
      ),
    600_000,
  );
  return (await daemonMemory(fresh, 'VmHWM')) / 1e6;
}

/** A tenth of the limit: what the garbage collector leaves to chance. */
const FLAT_MB = 16;
/** V8 gives memory back when nothing was done for some seconds. */
const IDLE_MS = 30_000;
const STARTS = 11;

/** The time to `backupd --version` inside the container, and the memory of a daemon that does nothing but answer. */
async function measureIdle({ stage, say }: Place): Promise<readonly Finding[]> {
  const loop = `for ((i = 0; i < $1; i++)); do
    began=$EPOCHREALTIME; backupd --version >/dev/null; ended=$EPOCHREALTIME
    echo $(( \${ended/./} - \${began/./} ))
  done`;
  const { stdout } = await stage.daemon.exec(['bash', '-ec', loop, 'bench', String(STARTS)]);
  const start = spreadOf(
    stdout
      .trim()
      .split('\n')
      .map((us) => Number(us) / 1000),
  );
  say(`start: ${start.median.toFixed(0)} ms`);
  for (let scrape = 0; scrape < 20; scrape += 1) {
    await (await stage.daemon.get('/metrics')).text();
  }
  await delay(IDLE_MS);
  const idleBytes = await daemonMemory(stage.daemon, 'VmRSS');
  return [
    checkLimit(
      'start of a command, median',
      { parts: { '--version': start.median }, unit: 'ms' },
      200,
    ),
    checkLimit('idle memory of the daemon', { parts: { daemon: idleBytes / 1e6 }, unit: 'MB' }, 90),
  ];
}
