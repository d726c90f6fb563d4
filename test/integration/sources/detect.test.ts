import { expect, test } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { inspectContainer } from '../../../src/docker/containers.ts';
import { detectEngine } from '../../../src/sources/detect.ts';
import { startIdleContainer, type IdleContainer } from '../../support/idle-container.ts';
import { docker as runDocker } from '../../support/run-process.ts';

const docker = connectDocker(process.env);
const never = new AbortController().signal;

async function detect(at: IdleContainer): Promise<string | null> {
  return detectEngine(docker, await inspectContainer(docker, at.containerId, never), never);
}

test('the engine of a container is told by the tools in it where its image and its variables do not', async () => {
  await using container = await startIdleContainer();
  expect(await detect(container)).toBeNull();
  await container.exec(['install', '-m', '755', '/bin/true', '/usr/local/bin/pg_dump']);
  expect(await detect(container)).toBe('postgres');
});

test.each([
  ['its image', 'postgres:17', {}],
  ['a variable', 'debian:trixie-slim', { POSTGRES_PASSWORD_FILE: '/run/secrets/password' }],
])(
  'the engine of a container is told by %s, also when it does not run',
  async (_how, image, env) => {
    await using container = await startIdleContainer({ image, env });
    await runDocker('stop', '--time', '0', container.name);
    expect(await detect(container)).toBe('postgres');
  },
);
