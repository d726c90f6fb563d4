import { PassThrough, type Readable } from 'node:stream';
import { createZstdDecompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { compressedArgv, decompressedArgv, probeTools } from '../../../src/docker/exec-pipe.ts';
import { startExec, type ExecProcess } from '../../../src/docker/exec.ts';
import { runExec, type ExecResult } from '../../../src/docker/run-exec.ts';
import { verdictStream } from '../../../src/docker/verdict-stream.ts';
import { startIdleContainer, type IdleContainer } from '../../support/idle-container.ts';
import { doesRun, killIn, untilRuns } from '../../support/processes.ts';
import { docker as runDocker, runProcess } from '../../support/run-process.ts';
import { containing, matching } from '../../support/matchers.ts';

const never = new AbortController().signal;
const docker = connectDocker(process.env);

/** Interpreters for the same script; the image has the first two, busybox is carried in from the other image. */
const SHELLS = [
  ['dash', ['/usr/bin/dash']],
  ['bash', ['/usr/bin/bash']],
  ['busybox ash', ['/busybox', 'ash']],
] as const;

let target: IdleContainer;

beforeAll(async () => {
  target = await startIdleContainer({ image: 'postgres:17' });
  await using bare = await startIdleContainer({ image: 'backupd-test/postgres-bare:17' });
  const copied = await runProcess([
    'sh',
    '-c',
    'docker cp "$0:/usr/bin/busybox" - | docker cp - "$1:/"',
    bare.container,
    target.container,
  ]);
  expect(copied).toMatchObject({ exitCode: 0 });
});
afterAll(async () => {
  await target[Symbol.asyncDispose]();
});

interface Piped {
  readonly process: ExecProcess;
  readonly verdict: Readable;
}

async function startPiped(
  shell: readonly string[],
  argv: readonly string[],
  more: { readonly onStderrLine?: (line: string) => void } = {},
): Promise<Piped> {
  const { containerId, container } = target;
  const [, ...script] = compressedArgv(argv, { level: 3 });
  const request = { containerId, container, run: 'id/db/1', argv: [...shell, ...script], ...more };
  const process = await startExec(docker, request, never);
  const verdict = verdictStream(process, { tool: 'pg_dump', code: 'dump-failed', container });
  return { process, verdict };
}

/** What came out before the verdict, which must be whole, and the verdict. */
async function outcome(verdict: Readable): Promise<{ plain: Buffer; error: Error | null }> {
  const stored: Buffer[] = [];
  let error: Error | null = null;
  verdict.on('data', (chunk: Buffer) => stored.push(chunk));
  await new Promise<void>((resolve) => {
    verdict.once('error', (thrown) => {
      error = thrown;
    });
    verdict.once('close', resolve);
  });
  return { plain: zstdDecompressSync(Buffer.concat(stored)), error };
}

describe.each(SHELLS)('compressedArgv in %s', (_name, shell) => {
  it('gives a whole frame with a checksum, the tool’s stderr, and passes arguments untouched', async () => {
    const lines: string[] = [];
    const odd = ['a b', '$(c)', `"d'`, '', '-e', '*'];
    const { verdict } = await startPiped(
      shell,
      ['sh', '-c', 'echo said >&2; printf "<%s>" "$@"', 'sh', ...odd],
      { onStderrLine: (line) => lines.push(line) },
    );
    const chunks = (await verdict.toArray()) as Buffer[];
    const stored = Buffer.concat(chunks);
    // Frame header descriptor, RFC 8878: bit 2 says that a checksum of the content follows.
    expect((stored[4] ?? 0) & 4).toBe(4);
    expect(zstdDecompressSync(stored).toString()).toBe(
      odd.map((argument) => `<${argument}>`).join(''),
    );
    expect(lines).toEqual(['said']);
  });

  it.each([
    [1, 'exit 1', /exited with 1$/],
    [77, 'exit 77', /exited with 77$/],
    [137, 'kill -9 $$', /was killed \(exit code 137\)/],
    [143, 'kill -15 $$', /exited with 143$/],
  ])('carries %i out, though zstd ended well', async (code, end, message) => {
    const { process, verdict } = await startPiped(shell, [
      'sh',
      '-c',
      `head -c 20000000 /dev/zero; ${end}`,
    ]);
    const { plain, error } = await outcome(verdict);
    expect(plain.length).toBe(20_000_000);
    expect(error).toMatchObject({
      code: 'dump-failed',
      message: matching(message),
    });
    expect(await process.exited).toMatchObject({ exitCode: code });
  });

  it('fails where the tool is not there', async () => {
    const { process, verdict } = await startPiped(shell, ['no-such-tool']);
    const { error } = await outcome(verdict);
    expect(error).toMatchObject({ message: containing('no-such-tool') });
    expect(await process.exited).toMatchObject({ exitCode: 127 });
  });

  it('fails where the tool closed its output, sleeps, and is killed then', async () => {
    const { process, verdict } = await startPiped(shell, [
      'sh',
      '-c',
      'echo all; exec >&-; sleep 6001',
    ]);
    const ended = outcome(verdict);
    await untilRuns(target.container, 'sleep 6001');
    await killIn(target.container, 'sleep 6001');
    expect((await ended).error).toMatchObject({ code: 'dump-failed' });
    expect((await process.exited).exitCode).toBe(137);
  });

  it('fails where zstd is killed, with its code', async () => {
    const { process, verdict } = await startPiped(shell, ['sh', '-c', 'yes zstd-dies']);
    const ended = new Promise<Error>((resolve) => {
      verdict.once('error', resolve);
    });
    verdict.resume();
    await untilRuns(target.container, 'zstd -q -3');
    await killIn(target.container, 'zstd ');
    expect(await ended).toMatchObject({
      code: 'dump-failed',
      message: containing('zstd exited with 137'),
    });
    expect(await process.exited).toMatchObject({ exitCode: 137 });
    expect(await doesRun(target.container, 'zstd-dies')).toBe(false);
  });

  it('leaves nothing behind when it is ended', async () => {
    const { verdict } = await startPiped(shell, ['sh', '-c', 'yes leave-nothing']);
    await new Promise((resolve) => {
      verdict.once('data', resolve);
    });
    const closed = new Promise((resolve) => {
      verdict.once('close', resolve);
    });
    verdict.destroy();
    await closed;
    expect(await doesRun(target.container, 'leave-nothing')).toBe(false);
    expect(await doesRun(target.container, 'zstd')).toBe(false);
  });
});

describe.each(SHELLS)('decompressedArgv in %s', (_name, shell) => {
  /** How the tool fared whose input these bytes were. */
  async function feed(script: string, input: Buffer): Promise<ExecResult> {
    const { containerId, container } = target;
    const [, ...piped] = decompressedArgv(['sh', '-c', script, 'odd name', 'a b', '$(c)']);
    const request = { containerId, container, run: 'id/db/2', argv: [...shell, ...piped], input };
    return runExec(docker, request, never);
  }
  const whole = zstdCompressSync('rows of a table\n'.repeat(100_000));

  it('gives the tool what was compressed, and its arguments untouched', async () => {
    const { exitCode, stdout } = await feed('printf "<%s>" "$0" "$@"; wc -c', whole);
    expect(stdout.trim()).toMatch(/^<odd name><a b><\$\(c\)>\s*1600000$/);
    expect(exitCode).toBe(0);
  });

  it.each([1, 77])('carries %i out, though zstd ended well', async (code) => {
    const { exitCode, stderr } = await feed(`cat >/dev/null; echo why >&2; exit ${code}`, whole);
    expect({ exitCode, stderr }).toEqual({ exitCode: code, stderr: 'why\n' });
  });

  it('lets a tool end well that needs no more', async () => {
    expect(await feed('head -c 10; exit 0', whole)).toMatchObject({
      exitCode: 0,
      stdout: 'rows of a ',
    });
  });

  it.each([
    ['cut short', whole.subarray(0, -10)],
    ['no zstd', Buffer.from('rows')],
    ['damaged', Buffer.concat([whole.subarray(0, 40), Buffer.alloc(20), whole.subarray(60)])],
  ])('fails where the input is %s, though the tool ended well', async (_what, input) => {
    const { exitCode, stderr } = await feed('cat >/dev/null', input);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('error: zstd exited with 1\n');
  });
});

describe('compressedArgv', () => {
  it('moves 300 MB', async () => {
    const script = 'head -c 300000000 /dev/zero | tr "\\000" x';
    const { verdict } = await startPiped(['sh'], ['sh', '-c', script]);
    const startedAt = performance.now();
    const decoder = verdict.pipe(createZstdDecompress());
    verdict.once('error', (error) => decoder.destroy(error));
    let bytes = 0;
    for await (const chunk of decoder.pipe(new PassThrough()) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
    }
    const seconds = (performance.now() - startedAt) / 1000;
    console.log(`through the pipe: ${Math.round(bytes / 1e6 / seconds)} MB/s`);
    expect(bytes).toBe(300_000_000);
  });

  it('works where nice is not there', async () => {
    const { containerId, container } = target;
    const [, ...script] = compressedArgv(['/usr/bin/printf', 'plain'], { level: 3 });
    // A PATH that has zstd and nothing else.
    await runDocker('exec', container, 'sh', '-c', 'mkdir -p /only && ln -sf /usr/bin/zstd /only/');
    const process = await startExec(
      docker,
      { containerId, container, run: 'r', argv: ['/bin/sh', ...script], env: { PATH: '/only' } },
      never,
    );
    const { plain, error } = await outcome(
      verdictStream(process, { tool: 'printf', code: 'dump-failed', container }),
    );
    expect(error).toBeNull();
    expect(plain.toString()).toBe('plain');
  });
});

describe('probeTools', () => {
  it('gives the path of what is there, and null for what is not', async () => {
    const at = { ...target, run: 'id/db/1' };
    const tools = await probeTools(docker, at, ['no-such-tool', 'zstd', 'a b', 'nice'], never);
    expect([...tools]).toEqual([
      ['no-such-tool', null],
      ['zstd', '/usr/bin/zstd'],
      ['a b', null],
      ['nice', '/usr/bin/nice'],
    ]);
  });

  it('asks busybox too', async () => {
    await using bare = await startIdleContainer({ image: 'backupd-test/postgres-bare:17' });
    const tools = await probeTools(docker, { ...bare, run: 'r' }, ['zstd', 'pg_dump'], never);
    expect(tools.get('zstd')).toBeNull();
    expect(tools.get('pg_dump')).toMatch(/\/pg_dump$/);
  });
});
