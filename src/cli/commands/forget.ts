import type { App } from '../../jobs/context.ts';
import { forgetSource } from '../../jobs/forget.ts';
import type { CommandOf } from '../arguments.ts';
import type { Output } from '../output.ts';

/** `forget`: a source that is gone for good is no longer reported missing. */
export async function forgetCommand(
  { source }: CommandOf<'forget'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const forgotten = await forgetSource(source, app, signal);
  out.printJson(forgotten);
  out.print(
    forgotten.backups === 0
      ? `forgot ${source}`
      : `forgot ${source}; its backups (${forgotten.backups}) age out by retention`,
  );
  return 0;
}
