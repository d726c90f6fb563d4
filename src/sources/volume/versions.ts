import { BackupdError } from '../../core/errors.ts';
import type { VolumeTarget } from '../../core/target.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { runExec } from '../../docker/run-exec.ts';
import type { Mounted } from './mounted.ts';

/** What a target is, in words. */
export function describeTarget({ made }: VolumeTarget): string {
  return made === null ? 'directory of the host' : `volume of driver ${made.driver}`;
}

/** The first line that tar says of itself: `tar (GNU tar) 1.35`. @throws BackupdError `dump-failed` */
export async function readToolVersion(
  { docker, containerId, container, run }: Mounted,
  signal: AbortSignal,
): Promise<string> {
  const result = await runExec(
    docker,
    { containerId, container, run, argv: ['tar', '--version'] },
    signal,
  );
  const [version = ''] = result.stdout.split('\n');
  if (result.exitCode !== 0 || !version.includes('GNU tar')) {
    throw new BackupdError(
      'dump-failed',
      `the image of backupd has no GNU tar: ${version || reasonOf(result, result.stderr)}`,
      { hint: 'Use the image as it is built, or one that is built on it.' },
    );
  }
  return version;
}
