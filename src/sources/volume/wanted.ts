import type { RestorePlan } from '../../core/restorer.ts';
import type { VolumeTarget } from '../../core/target.ts';

/** The name of what is restored, and what that is to be called. */
export function wantedOf({ databases }: RestorePlan): RestorePlan['databases'][number] {
  const [wanted] = databases;
  if (wanted === undefined) {
    throw new Error('nothing is to be restored');
  }
  return wanted;
}

/**
 * Where a restore works: the volume itself, or under another name one of its own. That is a plain one, since options may
 * say where the data are: two volumes of the same options can be the same.
 */
export function targetFor(into: VolumeTarget, plan: RestorePlan): VolumeTarget {
  const { name, restoredAs } = wantedOf(plan);
  const made = { driver: 'local', options: {}, labels: {} };
  return name === restoredAs ? into : { volume: restoredAs, made, labelled: null };
}
