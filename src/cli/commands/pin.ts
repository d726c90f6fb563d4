import type { App } from '../../jobs/context.ts';
import { pinBackup, unpinBackup, type PinResult } from '../../jobs/pin.ts';
import type { CommandOf } from '../arguments.ts';
import type { Output } from '../output.ts';

/** `pin`: keeps a backup whatever retention says. */
export async function pinCommand({ id }: CommandOf<'pin'>, app: App, out: Output): Promise<number> {
  return show(await pinBackup(id, app), out);
}

/** `unpin`: leaves it to retention again. */
export async function unpinCommand(
  { id }: CommandOf<'unpin'>,
  app: App,
  out: Output,
): Promise<number> {
  return show(await unpinBackup(id, app), out);
}

function show(result: PinResult, out: Output): number {
  out.printJson(result);
  out.print(`${result.pinned ? 'pinned' : 'unpinned'} ${result.id} of ${result.source}`);
  return 0;
}
