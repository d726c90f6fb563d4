import type Docker from 'dockerode';
import type { VolumeTarget } from '../../core/target.ts';
import { createVolume, inspectVolume, isPath, removeVolume } from '../../docker/volumes.ts';
import { placeOf } from './places.ts';
import type { Reach } from './reach.ts';
import { runScript } from './script.ts';

/** On volumes that a restore made: while it has swapped nothing in, they are its own to remove. */
const MADE_LABEL = 'backupd-made-by';

/** A volume that is gone, or is to have another name, is made; a directory has to be there. */
export async function makeIfGone(
  docker: Docker,
  { volume, made }: VolumeTarget,
  run: string,
  signal: AbortSignal,
): Promise<void> {
  if (made !== null && (await inspectVolume(docker, volume, signal)) === null) {
    const labels = { ...made.labels, [MADE_LABEL]: run };
    await createVolume(docker, volume, { ...made, labels }, signal);
  }
}

/** Removes what a restore loaded beside, and the volume with it where the restore had made that; idempotent. */
export async function discardMade(
  { docker, work }: Reach,
  target: VolumeTarget,
  run: string,
  signal: AbortSignal,
): Promise<void> {
  const volume = isPath(target.volume) ? null : await inspectVolume(docker, target.volume, signal);
  if (volume === null && !isPath(target.volume)) {
    return;
  }
  let said: string;
  {
    await using mounted = await work(target, { access: 'write' }, signal);
    said = await runScript(mounted, 'discard', [placeOf(run)], signal);
  }
  if (said === 'empty' && volume?.making.labels[MADE_LABEL] === run) {
    await removeVolume(docker, target.volume, signal);
  }
}
