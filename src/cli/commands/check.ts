import { FAILURES } from '../../core/errors.ts';
import { check } from '../../jobs/check.ts';
import type { App } from '../../jobs/context.ts';
import type { CommandOf } from '../arguments.ts';
import { hintLine } from '../failure-text.ts';
import type { Output } from '../output.ts';
import type { Line } from '../text.ts';

/** `check`: is everything in place, and what to do where it is not. */
export async function checkCommand(
  _args: CommandOf<'check'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const report = await check(app, signal);
  out.printJson(report);
  out.print(
    ...report.checks.flatMap(({ name, subject, ok, message, hint }): readonly Line[] => [
      [
        ok ? { text: 'ok    ', format: 'green' } : { text: 'FAILED', format: 'red' },
        `  ${name} ${subject}: ${message}`,
      ],
      ...(ok || hint === null ? [] : [['        ', ...[hintLine(hint)].flat()]]),
    ]),
  );
  return report.ok ? 0 : FAILURES.unhealthy.exitCode;
}
