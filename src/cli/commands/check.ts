import { FAILURES } from '../../core/errors.ts';
import { checkChannels, testChannels } from '../../jobs/check-channels.ts';
import type { Check } from '../../jobs/check-result.ts';
import { check } from '../../jobs/check.ts';
import type { App } from '../../jobs/context.ts';
import type { CommandOf } from '../arguments.ts';
import { hintLine } from '../failure-text.ts';
import type { Output } from '../output.ts';
import type { Line } from '../text.ts';

/** `check`: is everything in place, and what to do where it is not. */
export async function checkCommand(
  { notify }: CommandOf<'check'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const found = await check(app, signal);
  const channels = notify ? await sendTests(app, signal) : await lookAtChannels(app);
  const checks = [...found.checks, ...channels];
  const report = { ok: checks.every(({ ok }) => ok), checks };
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

async function sendTests(app: App, signal: AbortSignal): Promise<readonly Check[]> {
  const { sources } = await app.discover(signal);
  // Where each source has an address of its own, one that exists is asked for.
  return testChannels(app, sources[0]?.job.source ?? 'backupd', signal);
}

async function lookAtChannels(app: App): Promise<readonly Check[]> {
  return app.storageFailure === null ? checkChannels(app) : [];
}
