import { BackupdError, toFailure } from '../../core/errors.ts';
import type { Preflight, Problem, RestorePlan } from '../../core/restorer.ts';
import type { VolumeTarget } from '../../core/target.ts';
import { inspectVolume, isPath, isVolumeName } from '../../docker/volumes.ts';
import { neededSpace } from './disk.ts';
import { findInUse } from './in-use.ts';
import type { Reach } from './reach.ts';
import { lookInto } from './script.ts';
import { targetFor, wantedOf } from './wanted.ts';

/** Looks for every reason not to begin. */
export async function lookAhead(
  { docker, look }: Reach,
  into: VolumeTarget,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<Preflight> {
  const target = targetFor(into, plan);
  if (target !== into && !isVolumeName(target.volume)) {
    return { problems: [noName(target)], existing: [] };
  }
  if (target.made?.options['type'] === 'tmpfs') {
    return { problems: [inMemory(target)], existing: [] };
  }
  if (!isPath(target.volume) && (await inspectVolume(docker, target.volume, signal)) === null) {
    // It is made.
    return { problems: [], existing: [] };
  }
  const inUse = await findInUse(docker, target, plan.stops, signal);
  try {
    await using mounted = await look(target, signal);
    const { isUsed, freeBytes } = await lookInto(mounted, signal);
    const problems = [inUse, findNoSpace(target, plan, freeBytes)].filter((one) => one !== null);
    return { problems, existing: isUsed ? [wantedOf(plan).restoredAs] : [] };
  } catch (error) {
    if (error instanceof BackupdError && error.code === 'target-unavailable') {
      const { message, hint } = toFailure(error);
      return { problems: [{ code: error.code, message, hint: hint ?? '' }], existing: [] };
    }
    throw error;
  }
}

function noName({ volume }: VolumeTarget): Problem {
  return {
    code: 'usage',
    message: `"${volume}" can be no name of a volume`,
    hint: 'A name has letters, digits, ".", "_" and "-". --into names a directory of the host.',
  };
}

/** Docker empties it as soon as no container uses it, which is when a restore is to be swapped in. */
function inMemory({ volume }: VolumeTarget): Problem {
  return {
    code: 'usage',
    message: `volume "${volume}" is in memory, and keeps nothing while no container uses it`,
    hint: 'Restore it into another volume (--as), and copy from there while its container runs.',
  };
}

function findNoSpace(
  { volume }: VolumeTarget,
  plan: RestorePlan,
  freeBytes: number | null,
): Problem | null {
  const neededBytes = neededSpace(plan);
  if (freeBytes === null || freeBytes >= neededBytes) {
    return null;
  }
  return {
    code: 'no-space',
    message: `the restore needs ${Math.ceil(neededBytes / 1e6)} MB beside what is there, the disk of "${volume}" has ${Math.floor(freeBytes / 1e6)} MB free`,
    hint: 'Free space there, or restore into another volume (--as).',
  };
}
