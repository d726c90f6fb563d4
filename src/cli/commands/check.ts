import { FAILURES } from '../../core/errors.ts';
import { check } from '../../jobs/check.ts';
import type { Check } from '../../jobs/check-result.ts';
import type { App } from '../../jobs/context.ts';
import type { CommandOf } from '../arguments.ts';
import { hintLine } from '../failure-text.ts';
import type { Output } from '../output.ts';
import type { Line, Span } from '../text.ts';

/** `check`: is everything in place, and what to do where it is not. */
export async function checkCommand(
  { silenceMs }: CommandOf<'check'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const report = await check({ silenceMs }, app, signal);
  out.printJson(report);
  out.print(
    ...report.checks.flatMap((each): readonly Line[] => [
      [wordFor(each), `  ${each.name} ${each.subject}: ${each.message}`],
      ...(each.hint === null ? [] : [['        ', ...[hintLine(each.hint)].flat()]]),
    ]),
  );
  return report.ok ? 0 : FAILURES.unhealthy.exitCode;
}

/** What is well and has a hint may be meant so. */
function wordFor({ ok, hint }: Check): Span {
  if (!ok) {
    return { text: 'FAILED', format: 'red' };
  }
  return hint === null ? { text: 'ok    ', format: 'green' } : { text: 'note  ', format: 'yellow' };
}
