import type { TargetRef, VolumeTarget } from '../../core/target.ts';

/** A volume is never given anything else. */
export function asVolume(target: TargetRef): VolumeTarget {
  if (!('volume' in target)) {
    throw new Error(`"${target.container}" is no volume`);
  }
  return target;
}
