import { expect } from 'vitest';
import { startDaemon, type BackupdOptions, type Daemon } from './backupd.ts';
import { having } from './matchers.ts';
import { startPostgres, type Postgres, type PostgresOptions } from './postgres.ts';
import type { ProcessResult } from './run-process.ts';
import { testVolume, uniqueName, type TestVolume } from './test-container.ts';
import { toolFault, type ToolFault } from './tool-fault.ts';
import { waitFor } from './wait-for.ts';

/** A database with a label and backupd beside it, as a compose project; no schedule, so that only what a test asks for runs. */
export interface FaultStage extends AsyncDisposable {
  readonly server: Postgres;
  /** The labels that make `server` the source `db` of this project: for one that takes its place. */
  readonly labels: Readonly<Record<string, string>>;
  /** Of the project; for a backupd of one's own. */
  readonly projectLabels: Readonly<Record<string, string>>;
  readonly volume: TestVolume;
  readonly daemon: Daemon;
  /** What the pg_dump of `server` does. */
  readonly tool: ToolFault;
}

export interface StageOptions {
  readonly server?: PostgresOptions;
  /** Default: one of its own. */
  readonly volume?: TestVolume;
}

/** The dump of a stage's database has more bytes than this. */
export const HALF_BYTES = 1_000_000;

/** Where `test/support` is in the container of the daemon. */
const SUPPORT = '/faults';

/** For a command that shall run with one of the modules here that act at a step, such as `kill-at`. */
export function actAtStep(
  module: 'fill-at' | 'kill-at',
  settings: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import ${SUPPORT}/${module}.ts`, ...settings };
}

/** Another backupd of the project of a stage, which runs as the others there do. */
export function backupdOf(
  { projectLabels }: Pick<FaultStage, 'projectLabels'>,
  volume: Pick<TestVolume, 'name'>,
  env: Readonly<Record<string, string>> = {},
): BackupdOptions {
  return {
    backups: volume.name,
    labels: projectLabels,
    volumes: [`${import.meta.dirname}:${SUPPORT}:ro`],
    env: { ...COMMON, ...env },
  };
}

/** Of any backupd on a stage: runs when it is told to, keeps everything, and one database is enough. */
const COMMON = {
  BACKUPD_SCHEDULE: 'off',
  BACKUPD_KEEP: 'all',
  BACKUPD_SOURCE_DB_DATABASES: 'shop',
};

const COMPOSE = 'com.docker.compose';

const ORDERS = `
  create table public.orders (id int primary key, what text);
  insert into public.orders select n, md5(n::text) || md5((-n)::text) from generate_series(1, 40000) as n;`;

export async function startStage(options: StageOptions = {}): Promise<FaultStage> {
  await using stack = new AsyncDisposableStack();
  const projectLabels = { [`${COMPOSE}.project`]: uniqueName('stage') };
  const labels = { ...projectLabels, [`${COMPOSE}.service`]: 'db', 'backupd.enable': 'true' };
  const tool = stack.use(await toolFault());
  const volume = options.volume ?? stack.use(await testVolume());
  const [server, daemon] = await Promise.all([
    startPostgres({
      ...options.server,
      labels: { ...labels, ...options.server?.labels },
      volumes: [...tool.volumes, ...(options.server?.volumes ?? [])],
    }).then((started) => stack.use(started)),
    startDaemon(backupdOf({ projectLabels }, volume)).then((started) => stack.use(started)),
  ]);
  await server.sql(ORDERS);
  const kept = stack.move();
  return {
    server,
    labels,
    projectLabels,
    volume,
    daemon,
    tool,
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

/** Waits, for a daemon that has just come up clears up first. */
export const BACKUP: readonly string[] = ['backup', 'db', '--json', '--wait', '1m'];

/** A backup beside the daemon, as `docker exec` runs it. */
export async function runBackup(
  { daemon }: Pick<FaultStage, 'daemon'>,
  env: Readonly<Record<string, string>> = {},
): Promise<ProcessResult> {
  return daemon.cli(BACKUP, { env });
}

export interface Fault {
  /** For the command. */
  readonly env?: Readonly<Record<string, string>>;
  /** What happens while the backup runs. */
  readonly happen?: () => Promise<void>;
  /** Brings the world back to where a backup can succeed. */
  readonly repair?: () => Promise<void>;
  /** Nothing could be ended in the target: what runs there is left to the next run. Default: false. */
  readonly leavesProcesses?: boolean;
  readonly exitCode: number;
  readonly code: string;
  readonly message: RegExp;
}

/**
 * Runs a backup into a fault, and sees that it failed, that nothing says otherwise, that nothing half-made is left on
 * disk or in the target, and that the next backup succeeds.
 */
export async function endureFault(stage: FaultStage, fault: Fault): Promise<void> {
  const before = await look(stage);
  const running = runBackup(stage, fault.env);
  await fault.happen?.();
  expectFailedResult(await running, fault);
  await stage.tool.clear();
  await fault.repair?.();
  await expectNothingNew(stage, before, fault);
  if (fault.leavesProcesses !== true) {
    await expectCleanTarget(stage);
  }
  await expectGoodRun(stage);
  await expectCleanTarget(stage);
}

/** What the command itself says. */
export function expectFailedResult(
  { exitCode, stdout, stderr }: ProcessResult,
  { exitCode: expected, code, message }: Pick<Fault, 'exitCode' | 'code' | 'message'>,
): void {
  expect({ stderr, ...(JSON.parse(stdout) as object), exitCode }).toEqual({
    stderr: '',
    exitCode: expected,
    runs: [
      having({
        source: 'db',
        outcome: 'failed',
        id: null,
        storedBytes: null,
        dumpBytes: null,
        error: having({ code, message: expect.stringMatching(message) as unknown }),
      }),
    ],
  });
}

/** What can be seen of the backups without asking a command. */
export interface Seen {
  /** All there is in the folder of the source, newest first, and files that writing left behind anywhere. */
  readonly folders: readonly string[];
  readonly backups: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly interrupted: number;
  readonly lastAttemptSuccess: number;
}

export async function look({ daemon }: Pick<FaultStage, 'daemon'>): Promise<Seen> {
  const [{ stdout }, left, metrics] = await Promise.all([
    daemon.exec(['ls', '-A', '/backups/db']),
    leftBehind(daemon),
    (await daemon.get('/metrics')).text(),
  ]);
  const runs = 'backupd_backup_runs_total';
  return {
    folders: [...linesOf(stdout), ...left].toSorted().toReversed(),
    backups: metric(metrics, 'backupd_backups'),
    succeeded: metric(metrics, runs, 'result="success"'),
    failed: metric(metrics, runs, 'result="failed"'),
    interrupted: metric(metrics, runs, 'result="interrupted"'),
    lastAttemptSuccess: metric(metrics, 'backupd_backup_last_attempt_success'),
  };
}

/** Files that writing left behind. One that is being written is not: it goes within a moment. */
async function leftBehind(daemon: Daemon): Promise<readonly string[]> {
  const find = ['find', '/backups', '-name', '*.tmp', '-o', '-name', '*.damaged'];
  let left: readonly string[] | null = null;
  async function stays(): Promise<readonly string[]> {
    const now = linesOf((await daemon.exec(find)).stdout);
    left = left === null ? now : left.filter((file) => now.includes(file));
    return left;
  }
  try {
    await waitFor('end of what is written', async () => (await stays()).length === 0, 5000);
  } catch (error) {
    if (left === null) {
      throw error;
    }
  }
  return left ?? [];
}

function metric(text: string, name: string, label = 'source="db"'): number {
  const line = text.split('\n').find((row) => row.startsWith(`${name}{`) && row.includes(label));
  if (line === undefined) {
    throw new Error(`no metric ${name} with ${label}`);
  }
  return Number(line.split(' ').at(-1));
}

/** Neither a backup nor any trace of one, and every place says that the run failed. */
async function expectNothingNew(
  stage: FaultStage,
  before: Seen,
  { code }: Pick<Fault, 'code'>,
): Promise<void> {
  expect(await look(stage)).toEqual({
    ...before,
    failed: before.failed + 1,
    lastAttemptSuccess: 0,
  });
  expect(await listedIds(stage)).toEqual(before.folders);
  const { stdout } = await stage.daemon.cli(['status', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({
    healthy: false,
    sources: [
      having({
        state: before.backups === 0 ? 'never' : 'failed',
        lastAttempt: having({ outcome: 'failed', code }),
      }),
    ],
  });
}

/** What `list` shows, newest first. */
async function listedIds({ daemon }: Pick<FaultStage, 'daemon'>): Promise<readonly string[]> {
  const { stdout } = await daemon.cli(['list', 'db', '--json']);
  return (JSON.parse(stdout) as { id: string }[]).map(({ id }) => id);
}

/** No process and no session of backupd in the target. */
export async function expectCleanTarget({ server }: Pick<FaultStage, 'server'>): Promise<void> {
  expect(await processesOfRuns(server)).toEqual([]);
  // A session goes a moment after its client.
  await waitFor(
    'end of the sessions',
    async () => (await sessionsOfRuns(server)).length === 0,
    5000,
  );
}

async function sessionsOfRuns(server: Postgres): Promise<readonly string[]> {
  return linesOf(
    await server.sql(`
    select application_name || ': ' || query from pg_stat_activity where application_name like 'backupd:%'`),
  );
}

/** Command lines of the processes in a target that a backupd started. */
export async function processesOfRuns(server: Postgres): Promise<readonly string[]> {
  const script = `
    for dir in /proc/[0-9]*; do
      case "$(tr '\\000' '\\n' <"$dir/environ")" in
        *BACKUPD_RUN=*) tr '\\000' ' ' <"$dir/cmdline"; echo ;;
      esac
    done 2>/dev/null`;
  const { stdout } = await server.exec(['sh', '-c', script], { user: 'root' });
  return linesOf(stdout);
}

/** A backup succeeds, is the one new thing there is, and can be read to its end. */
export async function expectGoodRun(
  stage: Pick<FaultStage, 'daemon'>,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const before = await look(stage);
  const { exitCode, stdout, stderr } = await runBackup(stage, env);
  const { runs } = JSON.parse(stdout) as { runs: { id: string }[] };
  expect({ exitCode, stderr, runs }).toEqual({
    exitCode: 0,
    stderr: '',
    runs: [having({ outcome: 'success', error: null })],
  });
  const id = runs[0]?.id ?? '';
  expect(await look(stage)).toEqual({
    ...before,
    folders: [id, ...before.folders],
    backups: before.backups + 1,
    succeeded: before.succeeded + 1,
    lastAttemptSuccess: 1,
  });
  expect(await stage.daemon.cli(['verify', id, '--json'])).toMatchObject({ exitCode: 0 });
  return id;
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}
