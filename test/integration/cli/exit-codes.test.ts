import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDaemon, type Daemon } from '../../support/backupd.ts';
import { execOnTerminal } from '../../support/docker-exec.ts';
import { backupdOf, HALF_BYTES, startStage, type FaultStage } from '../../support/fault-stage.ts';
import { killIn, PROGRAM } from '../../support/processes.ts';
import { SLOW_SQL } from '../../support/restore-stage.ts';

const started = new AsyncDisposableStack();
let stage: FaultStage;
let daemon: Daemon;
let id: string;

beforeAll(async () => {
  stage = started.use(
    await startStage({
      server: { args: ['-c', 'fsync=off', '-c', 'max_prepared_transactions=2'] },
    }),
  );
  await stage.server.sql(SLOW_SQL);
  // Too little for any backup.
  const options = backupdOf(stage, stage.volume, { BACKUPD_SOURCE_DB_DATABASES: 'shop,slow' });
  await stage.daemon[Symbol.asyncDispose]();
  daemon = started.use(await startDaemon({ ...options, tmpfs: { '/small': 'size=8m' } }));
  const made = await daemon.cli(['backup', 'db', '--json', '--wait', '1m']);
  const { runs } = JSON.parse(made.stdout) as { runs: { id: string }[] };
  id = runs[0]?.id ?? '';
  const copies = await daemon.exec(['sh', '-c', COPIES, 'sh', id]);
  expect(copies).toMatchObject({ exitCode: 0, stderr: '' });
});
afterAll(async () => {
  await started.disposeAsync();
});

/** Directories with what is wrong with their one backup: an archive, its format, its facts. */
const COPIES = `
  for copy in cut newer false; do mkdir -p /tmp/$copy && cp -r /backups/db /tmp/$copy/; done
  truncate -s -1 "/tmp/cut/db/$1/slow.dump.zst"
  node --eval '
    const { readFileSync, writeFileSync } = require("node:fs");
    const [id] = process.argv.slice(1);
    function change(copy, to) {
      const path = "/tmp/" + copy + "/db/" + id + "/manifest.json";
      const manifest = JSON.parse(readFileSync(path, "utf8"));
      to(manifest);
      writeFileSync(path, JSON.stringify(manifest));
    }
    change("newer", (manifest) => { manifest.format = 2; });
    change("false", ({ facts }) => { Object.values(facts.databases.slow.tables)[0].rows += 1; });
  ' "$1"`;

interface Case {
  readonly code: string;
  readonly exitCode: number;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where a document tells of it, among what was done: `[]` at the top, or the error in it. */
  readonly document?: boolean;
  readonly before?: () => Promise<unknown>;
  readonly after?: () => Promise<unknown>;
}

/** Stands for the id of the backup. */
const ID = 'ID';

const SLOW = ['restore', 'db', '--database', 'slow'];

const CASES: readonly Case[] = [
  { code: 'usage', exitCode: 2, args: ['restore', 'db', '--nope'] },
  {
    code: 'config-invalid',
    exitCode: 3,
    args: ['backup', 'db'],
    env: { BACKUPD_KEEP: 'nonsense' },
  },
  {
    code: 'unhealthy',
    exitCode: 4,
    args: ['status'],
    // Its only source is one that was never backed up.
    env: { BACKUPD_SOURCES: 'ghost=postgres://nowhere', BACKUPD_SCHEDULE: '@daily' },
    document: true,
  },
  { code: 'unhealthy', exitCode: 4, args: ['check'], env: { BACKUPD_KEPE: '1' }, document: true },
  { code: 'backup-not-found', exitCode: 10, args: ['show', '20200101T000000Z-full-0000'] },
  {
    code: 'archive-corrupt',
    exitCode: 13,
    args: ['verify', 'db'],
    env: { BACKUPD_DIR: '/tmp/cut' },
    document: true,
  },
  {
    code: 'archive-corrupt',
    exitCode: 13,
    args: [...SLOW, '--at', ID],
    env: { BACKUPD_DIR: '/tmp/cut' },
  },
  {
    code: 'format-unsupported',
    exitCode: 14,
    args: ['restore', 'db', '--at', ID],
    env: { BACKUPD_DIR: '/tmp/newer' },
  },
  { code: 'source-not-found', exitCode: 16, args: ['backup', 'nope'] },
  { code: 'nothing-to-undo', exitCode: 17, args: ['restore', 'db', '--undo'] },
  { code: 'target-unavailable', exitCode: 20, args: ['restore', 'db', '--into', 'nope'] },
  {
    code: 'target-unavailable',
    exitCode: 20,
    args: ['backup'],
    env: { DOCKER_HOST: 'unix:///nope' },
  },
  {
    code: 'dump-failed',
    exitCode: 21,
    args: ['backup', 'db'],
    env: { BACKUPD_SOURCE_DB_USER: 'nobody' },
    document: true,
  },
  {
    code: 'restore-failed',
    exitCode: 22,
    args: SLOW,
    before: () => stage.server.sql('create role refuse'),
    after: () => stage.server.sql('drop role refuse'),
  },
  { code: 'verification-failed', exitCode: 23, args: SLOW, env: { BACKUPD_DIR: '/tmp/false' } },
  {
    code: 'target-in-use',
    exitCode: 24,
    args: SLOW,
    before: () =>
      stage.server.sql(`begin; insert into rows values (2); prepare transaction 'half';`, 'slow'),
    after: () => stage.server.sql(`rollback prepared 'half'`, 'slow'),
  },
  {
    code: 'timeout',
    exitCode: 25,
    args: ['backup', 'db'],
    env: { BACKUPD_TIMEOUT: '2s' },
    document: true,
    before: () => stage.tool.set(`stall ${HALF_BYTES}`),
    after: () => stage.tool.clear(),
  },
  {
    code: 'no-space',
    exitCode: 40,
    args: ['backup', 'db'],
    env: { BACKUPD_DIR: '/small' },
    document: true,
  },
  {
    code: 'storage-unavailable',
    exitCode: 41,
    args: ['list'],
    env: { BACKUPD_DIR: '/proc/nope' },
  },
];

describe('docker exec', () => {
  test.each(CASES)('$args ends with $code', async (given) => {
    const one = { ...given, args: given.args.map((word) => (word === ID ? id : word)) };
    await one.before?.();
    try {
      await expectPlain(one);
      await expectJson(one);
      await expectOnTerminal(one);
    } finally {
      await one.after?.();
    }
  });

  test('a source that somebody works on is locked, and a signal ends who works on it', async () => {
    await stage.tool.set(`stall ${HALF_BYTES}`);
    const running = daemon.cli(['backup', 'db']);
    await stage.tool.reached();
    const locked: Case = { code: 'locked', exitCode: 11, args: SLOW };
    await expectPlain(locked);
    await expectJson(locked);
    await expectOnTerminal(locked);
    const { stderr } = await daemon.cli(SLOW);
    expect(stderr).toContain('"backup db"');

    await killIn(daemon.name, `node *${PROGRAM} backup db`, 'INT');
    await stage.tool.clear();
    const cancelled = await running;
    expect(cancelled).toMatchObject({ exitCode: 130, stdout: '' });
    expect(cancelled.stderr).toMatch(/^error: .*cancelled/m);
  });

  test('on a terminal a restore asks, and a no, or no answer at all, is cancelled', async () => {
    const [to, restore] = ['Restore this? [y/N] ', ['backupd', ...SLOW]];
    // The last one is what Ctrl-D sends, at the beginning of a line the end of all typing.
    for (const type of ['n\r', '\u0004']) {
      const { exitCode, screen } = await execOnTerminal(daemon.name, restore, {
        answer: { to, type },
      });
      expect(exitCode, screen).toBe(130);
      expect(screen).toContain('nothing was changed');
    }
    expect(await databasesKept()).toBe('');
    const done = await execOnTerminal(daemon.name, restore, { answer: { to, type: 'y\r' } });
    expect(done.exitCode, done.screen).toBe(0);
    expect(done.screen).toContain('restored');
    expect(await databasesKept()).toContain('slow_before_');
  });
});

async function databasesKept(): Promise<string> {
  return stage.server.sql(`select datname from pg_database where datname like '%\\_before\\_%'`);
}

/** Without a terminal: the error on stderr, nothing but results on stdout, no colours. */
async function expectPlain({ code, exitCode, args, env = {}, document }: Case): Promise<void> {
  const result = await daemon.cli(args, { env });
  expect(result.exitCode, result.stdout + result.stderr).toBe(exitCode);
  expect(result.stdout + result.stderr).not.toContain('\u001B');
  if (document !== true) {
    // A restore that fails later has shown its plan.
    expect(args[0] === 'restore' ? '' : result.stdout).toBe('');
  }
  if (code !== 'unhealthy') {
    expect(result.stderr).toMatch(/^error: \S/m);
    expect(result.stderr).toMatch(/^hint: \S/m);
  }
  expectNoStack(result.stdout + result.stderr);
}

/** One document: on stdout where parts of the work can fail, else one line on stderr. */
async function expectJson({ code, exitCode, args, env = {}, document }: Case): Promise<void> {
  const result = await daemon.cli([...args, '--json'], { env });
  expect(result.exitCode, result.stdout + result.stderr).toBe(exitCode);
  if (document === true) {
    expect(result.stderr).toBe('');
    JSON.parse(result.stdout);
    expect(result.stdout).toMatch(/^[^\n]+\n$/);
    expect(code === 'unhealthy' || result.stdout.includes(`"code":"${code}"`)).toBe(true);
    return;
  }
  expect(result.stdout).toBe('');
  expect(result.stderr).toMatch(/^[^\n]+\n$/);
  const { error, ...more } = JSON.parse(result.stderr) as { error: { hint: unknown } };
  expect(more).toEqual({});
  expect(error).toEqual({
    code,
    exitCode,
    message: expect.stringMatching(/^\S/) as unknown,
    hint: error.hint === null ? null : (expect.any(String) as unknown),
  });
}

async function expectOnTerminal({ code, exitCode, args, env = {} }: Case): Promise<void> {
  const yes = args[0] === 'restore' && !args.includes('--undo') ? ['--yes'] : [];
  const result = await execOnTerminal(daemon.name, ['backupd', ...args, ...yes], {
    env,
  });
  expect(result.exitCode, result.screen).toBe(exitCode);
  // In colour.
  expect(result.screen).toContain('\u001B[');
  if (code !== 'unhealthy') {
    expect(result.screen).toContain('error: ');
  }
  expectNoStack(result.screen);
}

function expectNoStack(text: string): void {
  expect(text).not.toMatch(/^\s+at /m);
}
