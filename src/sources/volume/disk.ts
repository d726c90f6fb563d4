import type { RestorePlan } from '../../core/restorer.ts';
import { MOUNTED_AT } from '../../docker/helper.ts';
import { archiveOf } from '../feed.ts';
import { LEAST_FREE_BYTES, type LoadedDisk } from '../space.ts';
import type { Mounted } from './mounted.ts';
import { lookInto } from './script.ts';
import { wantedOf } from './wanted.ts';

/** Of a disk that is the volume's own, and small, the margin is a part. */
const LEAST_FREE_PART = 20;
/** What a file, or anything else with a name, takes besides what an archive holds of it. */
const ENTRY_BYTES = 4096;

/** Where a volume is: most often a disk that it shares with every other volume, and with what databases write there. */
export async function readDisk(mounted: Mounted, signal: AbortSignal): Promise<LoadedDisk> {
  const { docker, containerId, container, run, target } = mounted;
  const { diskBytes } = await lookInto(mounted, signal);
  return {
    docker,
    containerId,
    container,
    run,
    owner: target.volume,
    directory: MOUNTED_AT,
    leastFreeBytes: Math.min(LEAST_FREE_BYTES, (diskBytes ?? 0) / LEAST_FREE_PART),
  };
}

export function neededSpace(plan: RestorePlan): number {
  const { name } = wantedOf(plan);
  const entries = plan.manifest.facts.databases[name]?.objects['entries'] ?? 0;
  return archiveOf(plan, name).dumpBytes + entries * ENTRY_BYTES;
}
