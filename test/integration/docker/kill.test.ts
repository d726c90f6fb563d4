import { describe, expect, it } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { startExec, type ExecProcess } from '../../../src/docker/exec.ts';
import { killRun } from '../../../src/docker/kill.ts';
import { startIdleContainer, type IdleContainer } from '../../support/idle-container.ts';
import { commandsIn, untilRuns } from '../../support/processes.ts';
import { docker as runDocker } from '../../support/run-process.ts';

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
    expect((await one.exited).exitCode).toBe(143);
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

  it('kills what ignores SIGTERM, after it had its time', async () => {
    await using target = await startIdleContainer(options);
    const { containerId, container } = target;
    const process = await startExec(
      docker,
      {
        containerId,
        container,
        run: 'id/db/dd',
        argv: ['sh', '-c', "trap 'echo asked >&2' TERM; while :; do sleep 0.1; : stubborn; done"],
      },
      never,
    );
    process.stdout.resume();
    await untilRuns(container, 'stubborn');
    await killRun(docker, target, { run: 'id/db/dd' }, never);
    expect((await process.exited).exitCode).toBe(137);
    expect(process.stderr.text()).toContain('asked');
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

  it('has nothing to do in a container that is stopped or gone', async () => {
    await using target = await startIdleContainer();
    await runDocker('stop', '-t', '0', target.container);
    await killRun(docker, target, { prefix: 'id/' }, never);
    await runDocker('rm', target.container);
    await killRun(docker, target, { prefix: 'id/' }, never);
  });
});
