import type Docker from 'dockerode';
import { createHash } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { startExec, type ExecRequest } from '../../../src/docker/exec.ts';
import { runExec } from '../../../src/docker/run-exec.ts';
import { doesRun, untilRuns } from '../../support/processes.ts';
import { docker as runDocker } from '../../support/run-process.ts';
import { startIdleContainer, type IdleContainer } from '../../support/idle-container.ts';
import { containing } from '../../support/matchers.ts';

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

async function swallow(stream: Readable): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
  }
  return bytes;
}

function* blocks(count: number): Generator<Buffer> {
  for (let index = 0; index < count; index += 1) {
    yield Buffer.alloc(1_000_000, index);
  }
}

describe('runExec', () => {
  it.each([0, 1, 42, 255])('gives the exit code %i, stdout and stderr', async (code) => {
    const result = await runExec(docker, request(`echo out; echo err >&2; exit ${code}`), never);
    expect(result).toEqual({
      exitCode: code,
      ending: 'itself',
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  it('gives 128 and the number of the signal that ended the process', async () => {
    expect(await runExec(docker, request('kill -9 $$'), never)).toMatchObject({ exitCode: 137 });
    expect(await runExec(docker, request('kill -15 $$'), never)).toMatchObject({ exitCode: 143 });
  });

  it('fails a program that is not there by its exit code', async () => {
    const result = await runExec(docker, request('', { argv: ['no-such-tool'] }), never);
    expect([126, 127]).toContain(result.exitCode);
  });

  it('passes input and environment, which no argument shows', async () => {
    const result = await runExec(
      docker,
      request('cat; printf %s "$SECRET"', { input: 'all of stdin ', env: { SECRET: 'xyzzy' } }),
      never,
    );
    expect(result.stdout).toBe('all of stdin xyzzy');
  });

  it('closes stdin where there is none', async () => {
    expect(await runExec(docker, request('cat'), never)).toMatchObject({ exitCode: 0, stdout: '' });
  });

  it('refuses more output than it may keep, and ends the process', async () => {
    await expect(
      runExec(docker, request('yes refuse-more', { maxBytes: 100_000 }), never),
    ).rejects.toMatchObject({ message: containing('more than 100000 bytes') });
    expect(await doesRun(target.container, 'refuse-more')).toBe(false);
  });

  it('keeps the words of a process that fails before it has read its input', async () => {
    const input = Buffer.alloc(3_000_000, 'x');
    for (let round = 0; round < 10; round += 1) {
      const result = await runExec(
        docker,
        request('head -c 100000 >/dev/null; echo "cannot go on" >&2; exit 3', { input }),
        never,
      );
      expect(result).toMatchObject({ exitCode: 3, stderr: 'cannot go on\n' });
    }
  });

  it('names the container that does not run', async () => {
    await using stopped = await startIdleContainer();
    await runDocker('kill', stopped.container);
    await expect(runExec(docker, request('true', {}, stopped), never)).rejects.toMatchObject({
      code: 'target-unavailable',
      message: containing(stopped.container),
    });
    await runDocker('rm', stopped.container);
    await expect(runExec(docker, request('true', {}, stopped), never)).rejects.toMatchObject({
      code: 'target-unavailable',
      message: `no container "${stopped.container}"`,
    });
  });
});

describe('startExec', () => {
  it('half-closes stdin: 50 MB arrive whole and the answer comes back', async () => {
    const process = await startExec(docker, request('sha256sum', { stdin: 'pipe' }), never);
    const hash = createHash('sha256');
    for (const block of blocks(50)) {
      hash.update(block);
    }
    const answer = process.stdout.toArray();
    await pipeline(Readable.from(blocks(50)), process.stdin ?? new PassThrough());
    expect(Buffer.concat((await answer) as Buffer[]).toString()).toBe(`${hash.digest('hex')}  -\n`);
    expect(await process.exited).toMatchObject({ exitCode: 0 });
  });

  it('gives stderr line by line while the process runs', async () => {
    const lines: string[] = [];
    const seen = Promise.withResolvers<void>();
    const process = await startExec(
      docker,
      request('echo one >&2; echo two >&2; cat', {
        stdin: 'pipe',
        onStderrLine: (line) => {
          lines.push(line);
          if (line === 'two') {
            seen.resolve();
          }
        },
      }),
      never,
    );
    process.stdout.resume();
    await seen.promise;
    process.stdin?.end();
    expect((await process.exited).exitCode).toBe(0);
    expect(lines).toEqual(['one', 'two']);
  });

  it('ends the process and all it started when aborted, and tells only then', async () => {
    const ending = new AbortController();
    const process = await startExec(
      docker,
      request('sleep 7101 & yes abort-me & sleep 7102'),
      ending.signal,
    );
    const read = swallow(process.stdout);
    read.catch(() => null);
    await untilRuns(target.container, 'sleep 7102');
    const reason = new Error('shutting down');
    ending.abort(reason);
    await expect(process.exited).rejects.toBe(reason);
    await expect(read).rejects.toThrow('shutting down');
    expect(await doesRun(target.container, 'sleep 710')).toBe(false);
    expect(await doesRun(target.container, 'abort-me')).toBe(false);
  });

  it('ends a process that nobody reads from and that ignores SIGTERM', async () => {
    const ending = new AbortController();
    const process = await startExec(
      docker,
      request("trap '' TERM; while :; do echo ignore-term; sleep 0.05; done"),
      ending.signal,
    );
    await untilRuns(target.container, 'ignore-term');
    ending.abort();
    await expect(process.exited).rejects.toMatchObject({ name: 'AbortError' });
    expect(await doesRun(target.container, 'ignore-term')).toBe(false);
  });

  it('ends what is aborted while Docker has yet to start it', async () => {
    // Docker answers a moment before the process is there: not always one that can be met, but often enough of so many.
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const ending = new AbortController();
      const { exited } = await startExec(docker, request('sleep 7301'), ending.signal);
      ending.abort();
      await expect(exited).rejects.toMatchObject({ name: 'AbortError' });
      expect(await doesRun(target.container, 'sleep 7301')).toBe(false);
    }
  });

  it('spares other processes of the same run when one of them is aborted', async () => {
    const ending = new AbortController();
    const aborted = await startExec(docker, request('sleep 7201'), ending.signal);
    aborted.stdout.resume();
    const other = await startExec(docker, request('sleep 7202; cat', { stdin: 'pipe' }), never);
    other.stdout.resume();
    await untilRuns(target.container, 'sleep 7202');
    ending.abort();
    await expect(aborted.exited).rejects.toMatchObject({ name: 'AbortError' });
    expect(await doesRun(target.container, 'sleep 7201')).toBe(false);
    expect(await doesRun(target.container, 'sleep 7202')).toBe(true);
    other.stdout.destroy();
    await expect(other.exited).rejects.toMatchObject({ code: 'cancelled' });
    expect(await doesRun(target.container, 'sleep 7202')).toBe(false);
  });

  it('does not take an input that failed for one that ended', async () => {
    const process = await startExec(
      docker,
      request('cat >/dev/null; : whole-input', { stdin: 'pipe' }),
      never,
    );
    process.stdout.resume();
    const source = Readable.from(
      (function* broken() {
        yield Buffer.alloc(100_000);
        throw new Error('the archive is corrupt');
      })(),
    );
    await expect(pipeline(source, process.stdin ?? new PassThrough())).rejects.toThrow('corrupt');
    await expect(process.exited).rejects.toThrow('the archive is corrupt');
    expect(await doesRun(target.container, 'whole-input')).toBe(false);
  });

  it('fails the writer when the process has stopped reading', async () => {
    const process = await startExec(docker, request('exit 0', { stdin: 'pipe' }), never);
    process.stdout.resume();
    await expect(
      pipeline(Readable.from(blocks(50)), process.stdin ?? new PassThrough()),
    ).rejects.toMatchObject({ code: 'restore-failed', message: /stopped reading/ });
    expect(await process.exited).toMatchObject({ exitCode: 0 });
  });

  it('lets a writer end whose process knew where its input ends and was done before', async () => {
    const process = await startExec(
      docker,
      request('head -c 100000 >/dev/null', { stdin: 'pipe' }),
      never,
    );
    process.stdout.resume();
    const source = Readable.from(
      (async function* lateToEnd() {
        yield Buffer.alloc(100_000);
        await process.exited;
      })(),
    );
    await pipeline(source, process.stdin ?? new PassThrough());
    expect(await process.exited).toMatchObject({ exitCode: 0 });
  });
});
