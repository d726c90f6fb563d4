import type { App } from '../../jobs/context.ts';
import { pinBackup, unpinBackup, type PinResult } from '../../jobs/pin.ts';
import type { CommandOf } from '../arguments.ts';
import type { Output } from '../output.ts';

/** `pin`: keeps a backup whatever retention says. */
export async function pinCommand(
  command: CommandOf<'pin'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  return show(await pinBackup(command, app, signal), out);
}

/** `unpin`: leaves it to retention again. */
export async function unpinCommand(
  command: CommandOf<'unpin'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  return show(await unpinBackup(command, app, signal), out);
}

function show(result: PinResult, out: Output): number {
  const { id, source, pinned, destinations } = result;
  out.printJson(result);
  const where = destinations.length === 0 ? '' : ` at ${destinations.join(', ')}`;
  out.print(`${pinned ? 'pinned' : 'unpinned'} ${id} of ${source}${where}`);
  return 0;
}
