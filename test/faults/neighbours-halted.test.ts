import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startIdleContainer, type IdleContainer } from '../support/idle-container.ts';
import { having } from '../support/matchers.ts';
import { openRestoreStage, type RestoreStage } from '../support/restore-stage.ts';
import { docker } from '../support/run-process.ts';
import { startContainer } from '../support/test-container.ts';
import { waitFor } from '../support/wait-for.ts';

/** The names of three applications: one to be stopped, one to be paused, one that does not run. */
let stage: RestoreStage;
let app: IdleContainer;
let worker: IdleContainer;
let asleep: IdleContainer;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  [stage, app, worker, asleep] = await Promise.all([
    openRestoreStage(),
    startIdleContainer(),
    startIdleContainer(),
    startIdleContainer(),
  ]);
  for (const one of [stage, app, worker, asleep]) {
    stack.use(one);
  }
  await docker('stop', '--time', '0', asleep.name);
  expect((await stage.backupd(['backup'])).exitCode).toBe(0);
});
afterAll(async () => {
  await stack.disposeAsync();
});
afterEach(async () => {
  await stage.server.exec(['sh', '-c', 'rm -f /tmp/hook*']);
});

/** `running`, `exited` or `paused`, and when each was started. */
async function states(): Promise<Readonly<Record<string, string>>> {
  const format = '{{.State.Status}}';
  const all = await docker('inspect', '--format', format, app.name, worker.name, asleep.name);
  const [first = '', second = '', third = ''] = all.split('\n');
  return { app: first, worker: second, asleep: third };
}

const AS_BEFORE = { app: 'running', worker: 'running', asleep: 'exited' };

async function startedAt(): Promise<string> {
  return docker('inspect', '--format', '{{.State.StartedAt}}', app.name);
}

function halting(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return {
    BACKUPD_SOURCE_DB_STOP: `${app.name}, ${asleep.name}`,
    BACKUPD_SOURCE_DB_PAUSE: worker.name,
    ...more,
  };
}

async function owed(): Promise<readonly string[]> {
  const names = await readdir(join(stage.dir, '.backupd'), { recursive: true });
  return names.filter((name) => name.startsWith('owed/'));
}

interface RunsShown {
  readonly runs: readonly { readonly id: string }[];
}

describe('a backup with containers to stop and to pause', () => {
  it('holds those still that run, from before the dump to its last byte, and says for how long', async () => {
    // Killed in the midst of it, it leaves them as they were then.
    const died = await stage.backupd(['backup'], { env: halting(), killAt: 'dump-opened' });
    expect(died.exitCode).toBe(137);
    expect(await states()).toEqual({ app: 'exited', worker: 'paused', asleep: 'exited' });

    const { exitCode, stdout } = await stage.backupd(['backup', '--json'], { env: halting() });
    expect(exitCode).toBe(0);
    expect(await states()).toEqual(AS_BEFORE);
    const [run] = (JSON.parse(stdout) as RunsShown).runs;
    const manifest = await stage.json<object>(['show', run?.id ?? '']);
    const durationMs: unknown = expect.any(Number);
    expect(manifest).toMatchObject({
      halts: [
        { container: worker.name, how: 'pause', durationMs },
        { container: app.name, how: 'stop', durationMs },
      ],
    });
    expect(await owed()).toEqual([]);
  });

  it.each([
    { killAt: 'dump-halted', code: 137 },
    { killAt: 'archive-written', code: 137 },
    { killAt: 'dump-released', code: 137 },
  ])('that is killed at $killAt is followed by a life that lets them go', async ({ killAt }) => {
    expect((await stage.backupd(['backup'], { env: halting(), killAt })).exitCode).toBe(137);
    // Not the source's own settings any more: what is owed is on the disk.
    expect((await stage.backupd(['backup'])).exitCode).toBe(0);
    expect(await states()).toEqual(AS_BEFORE);
    expect(await owed()).toEqual([]);
  });

  it('that fails lets them go', async () => {
    const env = halting({ BACKUPD_SOURCE_DB_DATABASES: 'missing' });
    expect((await stage.backupd(['backup'], { env })).exitCode).toBe(21);
    expect(await states()).toEqual(AS_BEFORE);
    expect(await owed()).toEqual([]);
  });

  it('that is cancelled while a container takes its time to stop starts it again', async () => {
    // Without an init `sleep` is deaf to SIGTERM: it is killed after ten seconds.
    await using deaf = await startContainer({
      image: 'debian:trixie-slim',
      entrypoint: 'sleep',
      args: ['infinity'],
    });
    const before = await docker('inspect', '--format', '{{.State.StartedAt}}', deaf.name);
    const env = { BACKUPD_SOURCE_DB_STOP: deaf.name };
    const dying = stage.box.exec(['timeout', '-s', 'TERM', '3', 'backupd', 'backup'], { env });
    expect((await dying).exitCode).not.toBe(0);
    const [state, after] = (
      await docker('inspect', '--format', '{{.State.Status}} {{.State.StartedAt}}', deaf.name)
    ).split(' ');
    expect(state).toBe('running');
    expect(after).not.toBe(before);
  });

  it('refuses a name that means nothing, and the container of its own database', async () => {
    for (const [name, code] of [
      ['nobody', 20],
      [stage.server.name, 3],
      [stage.box.name, 2],
    ] as const) {
      const env = { BACKUPD_SOURCE_DB_STOP: name };
      const { exitCode, stderr } = await stage.backupd(['backup'], { env });
      expect({ exitCode, stderr }).toEqual({
        exitCode: code,
        stderr: expect.stringContaining(name) as string,
      });
    }
    const checked = await stage.backupd(['check', '--json'], {
      env: { BACKUPD_SOURCE_DB_STOP: 'nobody' },
    });
    expect(checked.exitCode).toBe(4);
    expect(JSON.parse(checked.stdout)).toMatchObject({
      checks: expect.arrayContaining([
        having({ name: 'containers', subject: 'db', ok: false, message: 'no container "nobody"' }),
      ]) as unknown,
    });
    expect(await owed()).toEqual([]);
  });

  it('leaves one alone that somebody started meanwhile, and one that is gone', async () => {
    await using gone = await startIdleContainer();
    const env = { BACKUPD_SOURCE_DB_STOP: `${app.name}, ${gone.name}` };
    expect((await stage.backupd(['backup'], { env, killAt: 'dump-opened' })).exitCode).toBe(137);
    await docker('start', app.name);
    await docker('rm', '--force', gone.name);
    const byHand = await startedAt();
    expect((await stage.backupd(['backup'])).exitCode).toBe(0);
    expect(await startedAt()).toBe(byHand);
    expect(await states()).toEqual(AS_BEFORE);
    expect(await owed()).toEqual([]);
  });

  it('fails where one cannot be started again, though the backup is there; the next life tries again', async () => {
    await using ports = await startContainer({
      image: 'debian:trixie-slim',
      entrypoint: 'sleep',
      args: ['infinity'],
      more: ['--init', '--publish', '127.0.0.1:18999:80'],
    });
    // Takes the port as soon as it is free.
    const env = {
      BACKUPD_SOURCE_DB_STOP: ports.name,
      BACKUPD_SOURCE_DB_AFTER: 'true',
    };
    expect((await stage.backupd(['backup'], { env, killAt: 'dump-opened' })).exitCode).toBe(137);
    const thief = await startContainer({
      image: 'debian:trixie-slim',
      entrypoint: 'sleep',
      args: ['infinity'],
      more: ['--init', '--publish', '127.0.0.1:18999:80'],
    });
    const failed = await stage.backupd(['backup']);
    expect(failed).toMatchObject({
      exitCode: 20,
      stderr: expect.stringContaining(`container "${ports.name}" was stopped by backupd`) as string,
    });
    const status = await stage.backupd(['status', '--json']);
    expect(status.exitCode).toBe(4);
    expect(JSON.parse(status.stdout)).toMatchObject({
      healthy: false,
      problems: [
        {
          code: 'containers-halted',
          message: `container "${ports.name}" was stopped for "db" and does not run again`,
        },
      ],
    });
    await thief[Symbol.asyncDispose]();
    expect((await stage.backupd(['backup'])).exitCode).toBe(0);
    expect(await docker('inspect', '--format', '{{.State.Status}}', ports.name)).toBe('running');
  });
});

describe('the commands before and after a backup', () => {
  const env = {
    BACKUPD_SOURCE_DB_BEFORE: 'echo begun; id -un >/tmp/hook-before',
    BACKUPD_SOURCE_DB_AFTER: 'date >>/tmp/hook-after; echo no good >&2; exit 3',
  };

  it('are run in the target, and their output and codes are in the manifest; one after that fails is a warning', async () => {
    const { exitCode, stdout } = await stage.backupd(['backup', '--json'], { env });
    expect(exitCode).toBe(0);
    const [run] = (JSON.parse(stdout) as RunsShown).runs;
    const durationMs: unknown = expect.any(Number);
    expect(await stage.json<object>(['show', run?.id ?? ''])).toMatchObject({
      hooks: [
        { when: 'before', exitCode: 0, output: 'begun', durationMs },
        { when: 'after', exitCode: 3, output: 'no good', durationMs },
      ],
      warnings: [having({ code: 'hook-failed' })],
    });
    expect(await inTarget('cat /tmp/hook-before')).toBe('root');
  });

  it('one before that fails fails the run, and the one after is run', async () => {
    const failing = { ...env, BACKUPD_SOURCE_DB_BEFORE: 'echo not now; exit 7' };
    const { exitCode, stdout } = await stage.backupd(['backup', '--json'], { env: failing });
    expect(exitCode).toBe(21);
    expect(JSON.parse(stdout)).toMatchObject({
      runs: [
        {
          id: null,
          error: {
            code: 'dump-failed',
            message: `the command of backupd.before in container "${stage.server.name}" exited with 7: not now`,
          },
        },
      ],
    });
    expect(await inTarget('wc -l </tmp/hook-after')).toBe('1');
  });

  it('the one after is run, once, by the next life where the process died before', async () => {
    expect((await stage.backupd(['backup'], { env, killAt: 'dump-opened' })).exitCode).toBe(137);
    expect(await inTarget('ls /tmp/hook-after')).toBe('');
    expect((await stage.backupd(['backup'])).exitCode).toBe(0);
    expect((await stage.backupd(['backup'])).exitCode).toBe(0);
    expect(await inTarget('wc -l </tmp/hook-after')).toBe('1');
  });

  async function inTarget(script: string): Promise<string> {
    return (await stage.server.exec(['sh', '-c', script])).stdout.trim();
  }
});

describe('a restore with --stop', () => {
  it('stops what runs for the moment of the swap', async () => {
    const before = await startedAt();
    const stop = ['--stop', app.name, '--stop', asleep.name];
    const plan = await stage.json<object>(['restore', 'db', ...stop, '--dry-run']);
    expect(plan).toMatchObject({ stops: [app.name] });
    expect(await startedAt()).toBe(before);
    expect((await stage.backupd(['restore', 'db', ...stop])).exitCode).toBe(0);
    expect(await states()).toEqual(AS_BEFORE);
    const after = await startedAt();
    expect(after).not.toBe(before);
    expect((await stage.backupd(['restore', 'db', '--undo', ...stop])).exitCode).toBe(0);
    expect(await states()).toEqual(AS_BEFORE);
    expect(await startedAt()).not.toBe(after);
    expect((await stage.backupd(['restore', 'db', '--stop', stage.server.name])).exitCode).toBe(2);
  });

  it.each(['swap-halted', 'restore-cleared'])(
    'that is killed at %s leaves nothing stopped after the next command, and the daemon',
    async (killAt) => {
      const command = ['restore', 'db', '--stop', app.name];
      expect((await stage.backupd(command, { killAt })).exitCode).toBe(137);
      expect(await states()).toEqual({ ...AS_BEFORE, app: 'exited' });
      // A daemon that knows the source no more.
      await using daemon = await startContainer({
        ...stage.options,
        env: { ...stage.options.env, BACKUPD_SOURCES: '' },
      });
      await waitFor(
        'start of what was stopped',
        async () => (await states())['app'] === 'running',
        15_000,
      );
      await waitFor('end of what is owed', async () => (await owed()).length === 0);
      expect(await daemon.logs()).toContain('is started again');
      expect(await stage.leftovers()).toEqual([]);
    },
  );
});

it('does nothing where it cannot be read what is owed, and says which file that is', async () => {
  const path = join(stage.dir, '.backupd', 'owed', 'db.json');
  await writeFile(path, '{"source":"db"}');
  const { exitCode, stderr } = await stage.backupd(['backup']);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 41,
    stderr: expect.stringContaining('owed/db.json') as string,
  });
  await rm(path);
  expect((await stage.backupd(['backup'])).exitCode).toBe(0);
});
