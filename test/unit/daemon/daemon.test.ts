import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import type { Restorer } from '../../../src/core/restorer.ts';
import type { TargetRef } from '../../../src/core/target.ts';
import { runDaemon } from '../../../src/daemon/daemon.ts';
import type { Host } from '../../../src/daemon/host.ts';
import type { App, BoundSource } from '../../../src/jobs/context.ts';
import { readAttempts } from '../../../src/store/attempts.ts';
import { journal } from '../../../src/store/journal.ts';
import { boundSource } from '../cli/paper-source.ts';
import { fakeApp, type FakeApp } from '../cli/support.ts';

/** For machines that are busy; nothing waits longer than it takes. */
const PATIENCE = { timeout: 8000, interval: 10 };

let world: FakeApp;

beforeEach(async () => {
  world = await fakeApp();
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

interface Started {
  readonly exitCode: Promise<number>;
  /** Messages logged so far. */
  messages(): readonly string[];
  /** A field of the first entry with this message. */
  field(message: string, name: string): unknown;
  stop(): void;
  fail(error: unknown): void;
}

/** A daemon on the world's directory, on any free port. */
function start(change: Partial<App['settings']> = {}): Started {
  const entries: Readonly<Record<string, unknown>>[] = [];
  const listeners: { stop?: (name: string) => void; fault?: (error: unknown) => void } = {};
  const host: Host = {
    log: {
      write(text) {
        entries.push(JSON.parse(text) as Readonly<Record<string, unknown>>);
      },
    },
    onStop(listener) {
      listeners.stop = listener;
    },
    onFault(listener) {
      listeners.fault = listener;
    },
  };
  const settings = { ...world.app.settings, httpPort: 0, ...change };
  return {
    exitCode: runDaemon({ ...world.app, settings }, host),
    messages: () => entries.map(({ msg }) => String(msg)),
    field: (message, name) => entries.find(({ msg }) => msg === message)?.[name],
    stop: () => listeners.stop?.('SIGTERM'),
    fail: (error) => listeners.fault?.(error),
  };
}

async function ask(daemon: Started, path: string): Promise<{ status: number; body: string }> {
  const port = String(daemon.field('daemon started', 'httpPort'));
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: await response.text() };
}

async function logged(daemon: Started, message: string): Promise<void> {
  await expect.poll(() => daemon.messages(), PATIENCE).toContain(message);
}

/** A source whose target answers so many times when it is looked for and then hangs, until the signal or for ever. */
function hanging(name: string, answers: number, heedsSignal: boolean): BoundSource {
  const bound = boundSource(name);
  let left = answers;

  async function locate(signal: AbortSignal): Promise<TargetRef> {
    left -= 1;
    if (left >= 0) {
      return bound.source.locate(signal);
    }
    return new Promise((_resolve, reject) => {
      signal.throwIfAborted();
      signal.addEventListener('abort', () => {
        if (heedsSignal) {
          reject(signal.reason as Error);
        }
      });
    });
  }

  return { ...bound, source: { ...bound.source, locate } };
}

describe('a life of the daemon', () => {
  test('backs a new source up at once, shows it, and ends well', async () => {
    world.discovery.sources.push(boundSource('db'));
    const daemon = start();
    await logged(daemon, 'backup finished');
    expect(daemon.field('backup started', 'trigger')).toBe('first');
    expect(await ask(daemon, '/healthz')).toEqual({ status: 200, body: 'ok\n' });
    expect(await ask(daemon, '/readyz')).toEqual({ status: 200, body: 'ok\n' });
    await expect
      .poll(async () => (await ask(daemon, '/metrics')).body, PATIENCE)
      .toContain('backupd_backup_runs_total{source="db",result="success"} 1');
    expect((await ask(daemon, '/metrics')).body).toContain(
      'backupd_backup_last_attempt_success{source="db"} 1',
    );
    daemon.stop();
    expect(await daemon.exitCode).toBe(0);
    expect(daemon.field('daemon stopped', 'allRunsEnded')).toBe(true);
  });

  test('tries what a restore left half-done once a look, and says once why it cannot be cleared up', async () => {
    const bound = boundSource('db');
    let tries = 0;
    const restorer: Restorer = {
      ...bound.source.restorer,
      resume() {
        tries += 1;
        return Promise.reject(new BackupdError('target-unavailable', 'it does not answer'));
      },
    };
    world.discovery.sources.push({ ...bound, source: { ...bound.source, restorer } });
    const target = await bound.source.locate(new AbortController().signal);
    await journal(world.app.context.storage.dir, 'db').write({
      step: 'building',
      source: 'db',
      engine: 'postgres',
      target,
      run: 'x',
    });
    const daemon = start();
    // The backup that the source wants comes to the same end, after that.
    await logged(daemon, 'backup failed');
    for (let asked = 0; asked < 200; asked += 1) {
      await ask(daemon, '/healthz');
    }
    daemon.stop();
    expect(await daemon.exitCode).toBe(0);
    expect(tries).toBe(2);
    expect(daemon.messages().filter((message) => message === 'recovery postponed')).toHaveLength(1);
  });

  test('applies retention after a backup', async () => {
    const { job, ...bound } = boundSource('db');
    const keep = { last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, withinMs: 0 };
    world.discovery.sources.push({ ...bound, job: { ...job, keep: { all: false, ...keep } } });
    await world.add({ suspicious: true });
    const daemon = start();
    await logged(daemon, 'backup removed by retention');
    daemon.stop();
    expect(await daemon.exitCode).toBe(0);
  });

  test('lives on without Docker, is not ready, and says so', async () => {
    world.discovery.docker = { code: 'target-unavailable', message: 'no socket', hint: null };
    Object.assign(world.app, {
      ping: () => Promise.reject(new BackupdError('target-unavailable', 'no socket')),
    });
    const daemon = start();
    await logged(daemon, 'Docker cannot be asked');
    expect(await ask(daemon, '/healthz')).toMatchObject({ status: 200 });
    expect(await ask(daemon, '/readyz')).toEqual({ status: 503, body: 'no socket\n' });
    expect(await ask(daemon, '/metrics')).toMatchObject({ status: 200 });
    daemon.stop();
    expect(await daemon.exitCode).toBe(0);
  });

  test('lives on where a look throws', async () => {
    Object.assign(world.app, { discover: () => Promise.reject(new Error('unforeseen')) });
    const daemon = start();
    await logged(daemon, 'sources not followed');
    expect(await ask(daemon, '/healthz')).toMatchObject({ status: 200 });
    daemon.stop();
    expect(await daemon.exitCode).toBe(0);
  });

  test('is not held up by a source whose target hangs while it is cleared', async () => {
    world.discovery.sources.push(hanging('hangs', 0, true), boundSource('db'));
    const daemon = start();
    await logged(daemon, 'backup finished');
    daemon.stop();
    expect(await daemon.exitCode).toBe(0);
  });

  test('lets the next one have the directory', async () => {
    const first = start();
    await logged(first, 'daemon started');
    await expect(start().exitCode).rejects.toMatchObject({ code: 'locked' });
    first.stop();
    await first.exitCode;
    const second = start();
    await logged(second, 'daemon started');
    second.stop();
    expect(await second.exitCode).toBe(0);
  });

  test('does not begin on a port that is taken', async () => {
    const server = createServer().listen(0);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await expect(start({ httpPort: port }).exitCode).rejects.toMatchObject({
      code: 'config-invalid',
      message: `port ${port} is in use already`,
    });
    server.close();
  });

  test('has no port where that is off', async () => {
    const daemon = start({ httpPort: null });
    await logged(daemon, 'daemon started');
    expect(daemon.field('daemon started', 'httpPort')).toBeNull();
    daemon.stop();
    expect(await daemon.exitCode).toBe(0);
  });
});

describe('the end', () => {
  test('cancels what runs and records it', async () => {
    world.discovery.sources.push(hanging('db', 1, true));
    const daemon = start();
    await logged(daemon, 'backup started');
    daemon.stop();
    expect(await daemon.exitCode).toBe(0);
    const { dir } = world.app.context.storage;
    expect((await readAttempts(dir, 'db')).attempts).toMatchObject([{ outcome: 'interrupted' }]);
    expect(daemon.field('daemon stopped', 'allRunsEnded')).toBe(true);
  });

  test('comes at once where it is asked for twice', async () => {
    world.discovery.sources.push(hanging('db', 1, false));
    const daemon = start();
    await logged(daemon, 'backup started');
    daemon.stop();
    daemon.stop();
    expect(await daemon.exitCode).toBe(130);
  });

  test('is orderly and not well after a bug', async () => {
    const daemon = start();
    await logged(daemon, 'daemon started');
    daemon.fail(new Error('unforeseen'));
    expect(await daemon.exitCode).toBe(1);
    expect(daemon.field('daemon stopped', 'allRunsEnded')).toBe(true);
  });
});
