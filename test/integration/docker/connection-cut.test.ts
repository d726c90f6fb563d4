import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { startExec } from '../../../src/docker/exec.ts';
import { verdictStream } from '../../../src/docker/verdict-stream.ts';
import { startIdleContainer, type IdleContainer } from '../../support/idle-container.ts';
import { containing } from '../../support/matchers.ts';
import { doesRun } from '../../support/processes.ts';

const never = new AbortController().signal;

/** Stands before the real socket, as a proxy does. */
interface Relay {
  readonly docker: ReturnType<typeof connectDocker>;
  /** Ends all connections there are as a proxy does that finds them too old. */
  cut(): void;
  /** Ends them all and takes no new ones, as where the engine itself has gone. */
  stop(): void;
  /** The same within whatever comes next from the engine, three bytes before its end. */
  stopWithin(): void;
}

let folder: string;
let target: IdleContainer;
let server: Server | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backupd-relay-'));
  target = await startIdleContainer();
});
afterEach(async () => {
  server?.close();
  await target[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function startRelay(): Promise<Relay> {
  const path = join(folder, 'docker.sock');
  const clients = new Set<Socket>();
  let isStopping = false;
  const listening = Promise.withResolvers<void>();
  server = createServer({ allowHalfOpen: true }, (client) => {
    const engine = connect({ path: '/var/run/docker.sock', allowHalfOpen: true });
    clients.add(client);
    client.once('close', () => {
      clients.delete(client);
      engine.destroy();
    });
    client.on('error', () => engine.destroy());
    engine.on('error', () => client.destroy());
    const gate = new Transform({
      transform(chunk: Buffer, _encoding, tell) {
        tell(null, isStopping ? chunk.subarray(0, -3) : chunk);
        if (isStopping) {
          server?.close();
          gate.end();
        }
      },
    });
    client.pipe(engine).pipe(gate).pipe(client);
  }).listen(path, listening.resolve);
  await listening.promise;

  function cut(): void {
    for (const client of clients) {
      client.destroy();
    }
  }
  return {
    docker: connectDocker({ DOCKER_HOST: `unix://${path}` }),
    cut,
    stop() {
      server?.close();
      cut();
    },
    stopWithin() {
      isStopping = true;
    },
  };
}

describe('a connection that is cut', () => {
  it.each([
    ['in the middle of its output', 'yes cut-me'],
    ['while it is quiet', 'echo begins; sleep 5501; : cut-me'],
  ])('is a failure of the tool, %s, and ends it', async (_name, script) => {
    const relay = await startRelay();
    const request = { ...target, run: 'id/db/1', argv: ['sh', '-c', script] };
    const process = await startExec(relay.docker, request, never);
    const verdict = verdictStream(process, { ...target, tool: 'pg_dump', code: 'dump-failed' });
    verdict.once('data', () => {
      relay.cut();
    });
    await expect(verdict.resume().toArray()).rejects.toMatchObject({
      code: 'dump-failed',
      message: containing('the connection to Docker was cut while it ran'),
    });
    expect(await process.exited).toEqual({ exitCode: null, ending: 'connection-cut' });
    expect(await doesRun(target.container, 'cut-me')).toBe(false);
  });

  // Between two frames, and within one.
  it.each(['stop', 'stopWithin'] as const)(
    'is a failure of the tool where Docker does not come back (%s)',
    async (happen) => {
      const relay = await startRelay();
      const request = { ...target, run: 'id/db/1', argv: ['sh', '-c', 'yes engine-gone'] };
      const process = await startExec(relay.docker, request, never);
      const verdict = verdictStream(process, { ...target, tool: 'pg_dump', code: 'dump-failed' });
      verdict.once('data', () => {
        relay[happen]();
      });
      await expect(verdict.resume().toArray()).rejects.toMatchObject({ code: 'dump-failed' });
      await expect(process.exited).rejects.toMatchObject({ code: 'target-unavailable' });
    },
  );
});
