import type Docker from 'dockerode';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { startExec, type ExecProcess, type ExecRequest } from '../../../src/docker/exec.ts';
import { verdictStream } from '../../../src/docker/verdict-stream.ts';
import { doesRun } from '../../support/processes.ts';
import { docker as runDocker } from '../../support/run-process.ts';
import { startIdleContainer, type IdleContainer } from '../../support/idle-container.ts';
import { containing, matching } from '../../support/matchers.ts';

const never = new AbortController().signal;
const docker: Docker = connectDocker(process.env);
let target: IdleContainer;

beforeAll(async () => {
  target = await startIdleContainer();
});
afterAll(async () => {
  await target[Symbol.asyncDispose]();
});

function request(
  script: string,
  more: Partial<ExecRequest> = {},
  at: Pick<IdleContainer, 'containerId' | 'container'> = target,
): ExecRequest {
  const { containerId, container } = at;
  return { containerId, container, run: 'test/exec/1', argv: ['sh', '-c', script], ...more };
}

function verdictOf(process: ExecProcess): Readable {
  return verdictStream(process, {
    tool: 'pg_dump',
    code: 'dump-failed',
    container: target.container,
  });
}

async function swallow(stream: Readable): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
  }
  return bytes;
}

describe('verdictStream', () => {
  it('ends a process that falls silent', async () => {
    const process = await startExec(
      docker,
      request('echo begins; : fall-silent; sleep 7301', { idleMs: 700 }),
      never,
    );
    const verdict = verdictOf(process);
    await expect(swallow(verdict)).rejects.toMatchObject({
      code: 'timeout',
      message: containing('silent for'),
    });
    expect(await doesRun(target.container, '7301')).toBe(false);
  });

  it('tolerates silence for as long as stderr speaks or its input is taken', async () => {
    const talking = await startExec(
      docker,
      request('for i in 1 2 3 4 5 6 7 8; do echo $i >&2; sleep 0.2; done; echo done', {
        idleMs: 800,
      }),
      never,
    );
    expect(await swallow(verdictOf(talking))).toBe(5);
  });

  it('ends a process of which only stdout counts, however much it says on stderr', async () => {
    const talking = await startExec(
      docker,
      request('echo begins; while sleep 0.1; do echo : 20 % >&2; done', {
        idleMs: 700,
        heardOn: 'stdout',
      }),
      never,
    );
    await expect(swallow(verdictOf(talking))).rejects.toMatchObject({ code: 'timeout' });
  });

  it('ends where the tool exited with 0', async () => {
    const process = await startExec(docker, request('head -c 5000000 /dev/zero'), never);
    expect(await swallow(verdictOf(process))).toBe(5_000_000);
  });

  it.each([
    [
      'exits with 1',
      'echo "x: error: no space left" >&2; exit 1',
      /exited with 1: x: error: no sp/,
    ],
    ['is killed', 'kill -9 $$', /was killed \(exit code 137\)/],
  ])('fails where the tool %s after all its output', async (_name, end, message) => {
    const process = await startExec(docker, request(`head -c 5000000 /dev/zero; ${end}`), never);
    const verdict = verdictOf(process);
    let bytes = 0;
    verdict.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    const failure = await new Promise<Error>((resolve, reject) => {
      verdict.once('error', resolve);
      verdict.once('end', () => {
        reject(new Error('it ended'));
      });
    });
    expect(failure).toMatchObject({ code: 'dump-failed', message: matching(message) });
    expect(bytes).toBe(5_000_000);
  });

  // A container that is removed or restarted is stopped first, and may be seen so.
  it.each([
    ['killed', ['kill'], /, the container stopped$/],
    ['stopped', ['stop', '-t', '0'], /, the container stopped$/],
    ['removed', ['rm', '-f'], /, the container (?:stopped|was removed)$/],
    ['restarted', ['restart', '-t', '0'], /, the container (?:stopped|was restarted)$/],
  ])('fails where the container is %s meanwhile, and says so', async (_name, happen, words) => {
    await using victim = await startIdleContainer();
    const process = await startExec(docker, request('cat /dev/zero', {}, victim), never);
    const verdict = verdictOf(process);
    const begun = new Promise((resolve) => {
      verdict.once('data', resolve);
    });
    const read = swallow(verdict);
    read.catch(() => null);
    await begun;
    await runDocker(...happen, victim.container);
    await expect(read).rejects.toMatchObject({
      code: 'dump-failed',
      message: matching(words),
    });
  });

  it('ends the tool when it is destroyed, and closes only then', async () => {
    const process = await startExec(docker, request('yes destroy-me'), never);
    const verdict = verdictOf(process);
    await new Promise((resolve) => {
      verdict.once('data', resolve);
    });
    const closed = new Promise((resolve) => {
      verdict.once('close', resolve);
    });
    verdict.destroy();
    await closed;
    expect(await doesRun(target.container, 'destroy-me')).toBe(false);
  });

  it('rejects a pipeline only after the tool is dead', async () => {
    const ending = new AbortController();
    const process = await startExec(docker, request('yes pipeline-me'), ending.signal);
    const sink = new PassThrough();
    const piped = pipeline(verdictOf(process), sink);
    piped.catch(() => null);
    sink.once('data', () => {
      ending.abort(new Error('cancelled by hand'));
    });
    await expect(piped).rejects.toThrow('cancelled by hand');
    expect(await doesRun(target.container, 'pipeline-me')).toBe(false);
  });

  it('needs no more memory for a reader that is slow', async () => {
    const process = await startExec(docker, request('cat /dev/zero'), never);
    const verdict = verdictOf(process);
    const before = globalThis.process.memoryUsage.rss();
    let peak = before;
    let chunks = 0;
    // At full speed the source sends some 400 MB a second; this reads about a tenth of that for two seconds.
    for await (const _chunk of verdict) {
      chunks += 1;
      if (chunks > 1500) {
        break;
      }
      await delay(1);
      peak = Math.max(peak, globalThis.process.memoryUsage.rss());
    }
    console.log(`slow reader: rss grew by ${Math.round((peak - before) / 1e6)} MB`);
    expect(peak - before).toBeLessThan(150e6);
  });
});
