import { MOUNTED_AT } from '../../docker/helper.ts';
import { OWN_PREFIX } from './tar-header.ts';

/**
 * Everything that a restore has in a volume is in one directory of its own at the top, which only root enters and no
 * backup holds: `new` is loaded beside; `incoming` is the same once all that was there has been moved out; `old` is what
 * was there. In each of them `files` has the content, and `root`, which is empty, the mode, owner and times of the
 * volume's own directory.
 */
export function placeOf(run: string): string {
  return `${MOUNTED_AT}/${OWN_PREFIX}${run}`;
}

/** What a restore loads beside. */
export function newIn(run: string): string {
  return `${placeOf(run)}/new`;
}

/** What a restore replaced. */
export function oldIn(run: string): string {
  return `${placeOf(run)}/old`;
}

/** What people call what a restore replaced. */
export function keptName(name: string, run: string): string {
  return `${name}_before_${run}`;
}
