import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { runCommand, type AppOptions, type CommandDeps } from '../../../src/cli/run.ts';
import { FAILURES, BackupdError, type FailureCode } from '../../../src/core/errors.ts';
import type { ConfigProblem } from '../../../src/core/discovery.ts';
import type { App } from '../../../src/jobs/context.ts';
import { fakeApp, fakeIo, opened } from './support.ts';

function deps(change: Partial<CommandDeps>): CommandDeps {
  return {
    openApp: () => Promise.reject(new Error('the app was opened')),
    runDaemon: () => Promise.reject(new Error('the daemon was run')),
    io: fakeIo(),
    version: '9.9.9',
    ...change,
  };
}

function opening(app: App): CommandDeps['openApp'] {
  return async (options) => opened(app, options);
}

function failing(error: Error): CommandDeps['openApp'] {
  // oxlint-disable-next-line typescript/require-await
  return async () => {
    throw error;
  };
}

function fatal(option: string, message = 'is wrong'): ConfigProblem {
  return { source: null, option, message, hint: null, severity: 'fatal' };
}

describe('without touching anything', () => {
  it.each([
    [['--version'], 'backupd 9.9.9\n'],
    [['--version', '--json'], '{"version":"9.9.9"}\n'],
  ])('%j prints the version', async (argv, text) => {
    const io = fakeIo();
    expect(await runCommand(argv, deps({ io }))).toBe(0);
    expect(io.out()).toBe(text);
    expect(io.err()).toBe('');
  });

  it.each([['--help'], ['restore', '--help'], ['help', 'cat']])(
    '%s %s prints help',
    async (...argv) => {
      const io = fakeIo();
      expect(await runCommand(argv, deps({ io }))).toBe(0);
      expect(io.out()).toMatch(/^Usage: backupd/m);
      expect(io.err()).toBe('');
    },
  );
});

describe('errors', () => {
  it('are two lines, without a stack', async () => {
    const io = fakeIo();
    expect(await runCommand(['lsit'], deps({ io }))).toBe(2);
    expect(io.out()).toBe('');
    expect(io.err()).toBe(
      'error: unknown command "lsit"\nhint: Did you mean "list"? Run "backupd --help" to see what there is.\n',
    );
  });

  it('are one line of JSON with --json, also where the command line is wrong', async () => {
    const io = fakeIo();
    expect(await runCommand(['lsit', '--json'], deps({ io }))).toBe(2);
    expect(io.out()).toBe('');
    expect(io.err()).toMatch(/^[^\n]+\n$/);
    expect(JSON.parse(io.err())).toEqual({
      error: {
        code: 'usage',
        message: 'unknown command "lsit"',
        hint: 'Did you mean "list"? Run "backupd --help" to see what there is.',
        exitCode: 2,
      },
    });
  });

  it.each(Object.keys(FAILURES) as readonly FailureCode[])('%s has its exit code', async (code) => {
    const openApp = failing(new BackupdError(code, 'it failed'));
    expect(await runCommand(['list'], deps({ openApp }))).toBe(FAILURES[code].exitCode);
  });

  it('that are bugs come with the stack, the version and what to do', async () => {
    const io = fakeIo();
    const openApp = failing(new TypeError('x is\nnot a function'));
    expect(await runCommand(['list'], deps({ io, openApp }))).toBe(1);
    expect(io.err()).toMatch(/^error: x is\n {2}not a function\nhint: .*report/);
    expect(io.err()).toContain('run.test.ts');
    expect(io.err()).toContain('backupd 9.9.9, Node v');
  });

  it('that nobody could catch stop the work, let it clear up, and are how it ended', async () => {
    await using fake = await fakeApp();
    const io = fakeIo();
    let clearedUp = false;
    const app: App = {
      ...fake.app,
      async discover(signal) {
        setImmediate(() => io.fault(new TypeError('thrown from nowhere')));
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve);
        });
        clearedUp = true;
        throw signal.reason;
      },
    };
    expect(await runCommand(['backup'], deps({ io, openApp: opening(app) }))).toBe(1);
    expect(clearedUp).toBe(true);
    expect(io.err()).toMatch(/^error: thrown from nowhere\nhint: .*report/);
    expect(io.err()).toContain('backupd 9.9.9, Node v');
    expect(io.fault(new Error('later'))).toBe(false);
  });

  it('that nobody could catch are told though the work succeeded', async () => {
    await using fake = await fakeApp();
    const io = fakeIo();
    const app: App = {
      ...fake.app,
      discover(signal) {
        io.fault(new Error('thrown from nowhere'));
        return fake.app.discover(signal);
      },
    };
    expect(await runCommand(['config', '--json'], deps({ io, openApp: opening(app) }))).toBe(1);
    expect(JSON.parse(io.err())).toMatchObject({ error: { code: 'internal', exitCode: 1 } });
  });

  it('cannot steer a terminal', async () => {
    const io = fakeIo();
    const openApp = failing(
      new BackupdError('usage', 'name "\u001B[2J\nerror: x"', { hint: 'a\u0007b' }),
    );
    await runCommand(['list'], deps({ io, openApp }));
    expect(io.err()).toBe(
      String.raw`error: name "\x1b[2J` + '\n  error: x"\n' + String.raw`hint: a\x07b` + '\n',
    );
  });
});

describe('the app', () => {
  it.each([
    ['list', 'read', 'list'],
    ['verify db', 'read', 'verify'],
    ['status', 'report', 'status'],
    ['check', 'report', 'check'],
    ['config', 'report', 'config'],
    ['runbook', 'report', 'runbook'],
    ['backup a b --pin', 'write', 'backup a b'],
    ['restore db --at x', 'write', 'restore db'],
    ['restore db --undo', 'write', 'restore --undo db'],
    ['prune', 'write', 'prune'],
    ['daemon', 'write', 'daemon'],
  ])('is opened for "%s" with access to %s, as "%s"', async (line, access, command) => {
    const opened: AppOptions[] = [];
    await runCommand(
      line.split(' '),
      deps({
        openApp(options) {
          opened.push(options);
          return Promise.reject(new BackupdError('storage-unavailable', 'enough'));
        },
      }),
    );
    expect(opened).toMatchObject([{ access, command }]);
  });

  it('tells every wrong option at once', async () => {
    await using fake = await fakeApp({
      problems: [fatal('BACKUPD_KEEP'), fatal('BACKUPD_TIMEZONE', '"X" is no time zone')],
    });
    const io = fakeIo();
    const openApp = opening(fake.app);
    expect(await runCommand(['backup'], deps({ io, openApp }))).toBe(3);
    expect(io.err()).toBe(
      'error: 2 options are wrong\n  BACKUPD_KEEP: is wrong\n  BACKUPD_TIMEZONE: "X" is no time zone\nhint: Run "backupd config" to see every option and where its value comes from.\n',
    );
  });

  it('is told to be wrongly configured before the directory is opened', async () => {
    // oxlint-disable-next-line typescript/require-await -- what it throws is a rejection
    async function openApp({ admit }: AppOptions): Promise<App> {
      admit([fatal('BACKUPD_KEEP')]);
      throw new BackupdError('storage-unavailable', '/backups is not there');
    }
    for (const command of ['backup', 'daemon']) {
      const io = fakeIo();
      expect(await runCommand([command], deps({ io, openApp }))).toBe(3);
      expect(io.err()).toContain('BACKUPD_KEEP: is wrong');
    }
  });

  it.each([
    ['list', 'BACKUPD_KEEP', 0],
    ['list', 'BACKUPD_DIR', 3],
    ['list', 'BACKUPD_DIR_FILE', 3],
    ['list', 'dir in /etc/backupd.yml', 3],
    ['list', 'BACKUPD_TIMEZONE', 0],
    ['verify', 'BACKUPD_SCHEDULE', 0],
    ['list', 'DOCKER_HOST', 0],
    ['cat', 'DOCKER_HOST', 2],
    ['restore', 'DOCKER_HOST', 3],
    ['restore', 'BACKUPD_TIMEZONE', 3],
    ['restore', 'BACKUPD_SCHEDULE', 10],
    ['backup', 'BACKUPD_SCHEDULE', 3],
    ['prune', 'BACKUPD_SCHEDULE', 3],
    ['daemon', 'BACKUPD_HTTP_PORT', 3],
    ['status', 'BACKUPD_SCHEDULE', 4],
  ])('%s with a wrong %s exits %i', async (command, option, exitCode) => {
    await using fake = await fakeApp({ problems: [fatal(option)] });
    const openApp = opening(fake.app);
    expect(await runCommand([command], deps({ openApp }))).toBe(exitCode);
  });

  it('does not stop for a problem that stops nothing', async () => {
    await using fake = await fakeApp({
      problems: [{ ...fatal('BACKUPD_X'), severity: 'loud' }],
    });
    const openApp = opening(fake.app);
    expect(await runCommand([], deps({ openApp, runDaemon: () => Promise.resolve(7) }))).toBe(7);
  });
});

describe('a signal', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('%s cancels what runs: exit 130', async (name) => {
    await using fake = await fakeApp();
    const io = fakeIo();
    const openApp = opening({
      ...fake.app,
      discover: (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reject(new BackupdError('target-unavailable', 'the socket was closed'));
          });
          expect(io.signal(name)).toBe(true);
        }),
    });
    expect(await runCommand(['backup'], deps({ io, openApp }))).toBe(130);
    expect(io.err()).toContain('error: cancelled: the socket was closed\n');
    expect(io.signal(name)).toBe(false);
  });

  it('is nobody’s business when the command is over', async () => {
    await using fake = await fakeApp();
    const io = fakeIo();
    const openApp = opening(fake.app);
    await runCommand(['list'], deps({ io, openApp }));
    expect(io.signal('SIGINT')).toBe(false);
  });
});

describe('a reader or terminal that goes away', () => {
  function broken(code: string): Writable {
    return new Writable({
      autoDestroy: false,
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error(`write ${code}`), { code }));
      },
    });
  }

  it.each(['EPIPE', 'EIO'])('does not fail the command: %s', async (code) => {
    await using fake = await fakeApp();
    await fake.add();
    const io = { ...fakeIo(), stdout: broken(code), stderr: broken(code) };
    const openApp = opening(fake.app);
    expect(await runCommand(['list'], deps({ io, openApp }))).toBe(0);
    expect(await runCommand(['lsit'], deps({ io, openApp }))).toBe(2);
  });

  it('is told apart from a result that could not be written', async () => {
    await using fake = await fakeApp();
    await fake.add();
    const shown = fakeIo();
    const io = { ...shown, stdout: broken('ENOSPC') };
    const openApp = opening(fake.app);
    expect(await runCommand(['list'], deps({ io, openApp }))).toBe(40);
    expect(shown.err()).toContain('the result could not be written');
  });
});

it('leaves the screen to the daemon: no signal is taken from it', async () => {
  await using fake = await fakeApp();
  const io = fakeIo();
  const exitCode = await runCommand(
    ['daemon'],
    deps({
      io,
      openApp: opening(fake.app),
      runDaemon: () => Promise.resolve(io.signal('SIGTERM') ? 1 : 0),
    }),
  );
  expect(exitCode).toBe(0);
});
