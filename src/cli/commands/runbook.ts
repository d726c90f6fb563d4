import { BackupdError } from '../../core/errors.ts';
import type { App } from '../../jobs/context.ts';
import { collectRunbook } from '../../jobs/runbook.ts';
import type { CommandOf } from '../arguments.ts';
import type { Output } from '../output.ts';
import { runbookText } from '../runbook/runbook.ts';

/** `runbook`: how to restore each source of this very configuration, as Markdown. */
export async function runbookCommand(
  _args: CommandOf<'runbook'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  if (app.storageFailure !== null) {
    const { code, message, hint } = app.storageFailure;
    throw new BackupdError(code, message, hint === null ? {} : { hint });
  }
  const markdown = runbookText(await collectRunbook(app, new Date(), signal));
  out.printJson({ markdown });
  out.print(...markdown.trimEnd().split('\n'));
  return 0;
}
