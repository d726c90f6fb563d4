import { join } from 'node:path';
import { docker, runProcess } from '../support/run-process.ts';
import {
  startContainer,
  type ContainerOptions,
  type TestContainer,
} from '../support/test-container.ts';

const IMAGE = 'backupd-test/bench-tools:1';

/** A container with the stock tools of the peers (age, aws, docker, rclone, restic, zstd), in which nothing runs by itself. */
export async function startTools(options: Omit<ContainerOptions, 'image'>): Promise<TestContainer> {
  const script = join(import.meta.dirname, '../../scripts/provide-images');
  const { exitCode, stderr } = await runProcess([script, IMAGE]);
  if (exitCode !== 0) {
    throw new Error(`${IMAGE} is not to be had: ${stderr}`);
  }
  return startContainer({
    ...options,
    image: IMAGE,
    args: ['sleep', 'infinity'],
    more: ['--init', ...(options.more ?? [])],
  });
}

/** `restic 0.18.0, rclone v1.60.1` and so on. */
export async function versionsOf(
  tools: TestContainer,
  ...packages: readonly string[]
): Promise<string> {
  const format = '--showformat=${Package} ${Version}, ';
  const found = await docker('exec', tools.name, 'dpkg-query', '--show', format, ...packages);
  return found.replace(/, $/, '');
}
