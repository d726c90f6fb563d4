import { describe, expect, it } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { compressedArgv } from '../../../src/docker/exec-pipe.ts';
import { startExec, type ExecProcess } from '../../../src/docker/exec.ts';
import { killRun } from '../../../src/docker/kill.ts';
import { startIdleContainer, type IdleContainer } from '../../support/idle-container.ts';
import { commandsIn, doesRun, untilRuns } from '../../support/processes.ts';
import { docker as runDocker } from '../../support/run-process.ts';
import { startContainer } from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

const never = new AbortController().signal;
const docker = connectDocker(process.env);

/** What a target may be like: root in dash; and ash without root, with a read-only root and next to no /tmp. */
const TARGETS = [
  ['debian', {}],
  [
    'busybox, not root, read-only',
    {
      image: 'backupd-test/postgres-bare:17',
      readOnly: true,
      tmpfs: { '/tmp': 'size=64k', '/var/run/postgresql': 'size=64k' },
    },
  ],
] as const;

async function startMarked(at: IdleContainer, run: string, seconds: number): Promise<ExecProcess> {
  const { containerId, container } = at;
  // A shell with a child, neither of which is the shell alone: what a tool starts must go too.
  const argv = ['sh', '-c', `sleep ${seconds}; exit 9`];
  const process = await startExec(docker, { containerId, container, run, argv }, never);
  process.stdout.resume();
  await untilRuns(container, `sleep ${seconds}`);
  return process;
}

/** Its stdin stays open, so that a shell can wait without a child. */
async function startScript(at: IdleContainer, script: string, text: string): Promise<ExecProcess> {
  const { containerId, container } = at;
  const argv = ['sh', '-c', script];
  const request = { containerId, container, run: 'id/db/dd', argv, stdin: 'pipe' } as const;
  const process = await startExec(docker, request, never);
  process.stdout.resume();
  await untilRuns(container, text);
  return process;
}

async function sleepers(at: IdleContainer): Promise<readonly string[]> {
  const commands = await commandsIn(at.container);
  return commands.filter((command) => /^sleep \d+$/.test(command)).toSorted();
}

describe.each(TARGETS)('killRun in %s', (_name, options) => {
  it('ends a run with all it started, and no other whose mark only begins so', async () => {
    await using target = await startIdleContainer(options);
    const one = await startMarked(target, 'id/db/aa', 8001);
    const other = await startMarked(target, 'id/db/aaa', 8002);
    const foreign = await startMarked(target, 'xid/db/aa', 8003);
    await killRun(docker, target, { run: 'id/db/aa' }, never);
    expect(await sleepers(target)).toEqual(['sleep 8002', 'sleep 8003']);
    // The shell saw its child die, and may have said so before its own turn came.
    expect([9, 143]).toContain((await one.exited).exitCode);
    other.stdout.destroy();
    foreign.stdout.destroy();
    await Promise.allSettled([other.exited, foreign.exited]);
    expect(await sleepers(target)).toEqual([]);
  });

  it('ends all runs of a prefix and spares those of others', async () => {
    await using target = await startIdleContainer(options);
    await startMarked(target, 'id/db/aa', 8001);
    await startMarked(target, 'id/db/bb', 8002);
    await startMarked(target, 'id/db2/cc', 8003);
    await killRun(docker, target, { prefix: 'id/db/' }, never);
    expect(await sleepers(target)).toEqual(['sleep 8003']);
  });

  it('takes a mark for what it is, whatever a shell would read in it', async () => {
    await using target = await startIdleContainer(options);
    await startMarked(target, 'id/a b*[x]$(c)\'"/1', 8001);
    await startMarked(target, 'id/a b', 8002);
    await killRun(docker, target, { prefix: 'id/*' }, never);
    expect(await sleepers(target)).toEqual(['sleep 8001', 'sleep 8002']);
    await killRun(docker, target, { prefix: 'id/a b*[x]$(c)\'"/' }, never);
    expect(await sleepers(target)).toEqual(['sleep 8002']);
  });

  it('asks before it kills', async () => {
    await using target = await startIdleContainer(options);
    const process = await startScript(target, "trap 'exit 7' TERM; : asked; read line", 'asked');
    await killRun(docker, target, { run: 'id/db/dd' }, never);
    expect((await process.exited).exitCode).toBe(7);
  });

  it.each([
    ['ignores SIGTERM', "trap '' TERM; exec sleep 8006", 'sleep 8006'],
    ['starts a new child for each that died', 'while :; do sleep 0.05; : again; done', ': again'],
  ])('kills what %s', async (_name, script, text) => {
    await using target = await startIdleContainer(options);
    const process = await startScript(target, script, text);
    await killRun(docker, target, { run: 'id/db/dd' }, never);
    expect([137, 143]).toContain((await process.exited).exitCode);
    expect(await doesRun(target.container, text)).toBe(false);
  });

  it('finds nothing where nothing is', async () => {
    await using target = await startIdleContainer(options);
    await killRun(docker, target, { prefix: 'id/' }, never);
    expect((await commandsIn(target.container)).length).toBe(2);
  });
});

describe('killRun', () => {
  it('ends processes of another user than the default one when told', async () => {
    await using target = await startIdleContainer({ image: 'postgres:17' });
    const { containerId, container } = target;
    const ending = new AbortController();
    const process = await startExec(
      docker,
      { containerId, container, run: 'r', user: 'postgres', argv: ['sleep', '8005'] },
      ending.signal,
    );
    process.stdout.resume();
    await untilRuns(container, 'sleep 8005');
    ending.abort();
    await expect(process.exited).rejects.toMatchObject({ name: 'AbortError' });
    expect(await sleepers(target)).toEqual([]);
  });

  it('lets no orphan fall to a server that would take its death for a crash', async () => {
    await using server = await startContainer({
      image: 'postgres:17',
      env: { POSTGRES_HOST_AUTH_METHOD: 'trust' },
    });
    await waitFor('server that is ready', async () => {
      const ready = await server.exec(['psql', '-U', 'postgres', '-h', '127.0.0.1', '-c', '']);
      return ready.exitCode === 0;
    });
    const target = { ...server, containerId: server.id, container: server.name };
    await startMarked(target, 'id/db/aa', 8007);
    await killRun(docker, target, { run: 'id/db/aa' }, never);
    const { containerId, container } = target;
    const argv = compressedArgv(['sh', '-c', 'yes | cat'], { level: 3 });
    const piped = await startExec(docker, { containerId, container, run: 'id/db/bb', argv }, never);
    await new Promise((resolve) => {
      piped.stdout.once('data', resolve);
    });
    await killRun(docker, target, { run: 'id/db/bb' }, never);
    piped.stdout.destroy();
    await piped.exited.catch(() => null);
    // A server that restarts for a crash says so; the answer shows that it had the time to.
    await server.exec(['psql', '-U', 'postgres', '-h', '127.0.0.1', '-c', 'checkpoint']);
    expect(await server.logs()).not.toMatch(/terminated by signal|reinitializing/);
  });

  it('has nothing to do in a container that is stopped or gone', async () => {
    await using target = await startIdleContainer();
    await runDocker('stop', '-t', '0', target.container);
    await killRun(docker, target, { prefix: 'id/' }, never);
    await runDocker('rm', target.container);
    await killRun(docker, target, { prefix: 'id/' }, never);
  });
});
