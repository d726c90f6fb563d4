import { FAILURES } from '../../core/errors.ts';
import { checkChannels, testChannels } from '../../jobs/check-channels.ts';
import type { Check } from '../../jobs/check-result.ts';
import { check } from '../../jobs/check.ts';
import type { App } from '../../jobs/context.ts';
import type { CommandOf } from '../arguments.ts';
import { hintLine } from '../failure-text.ts';
import type { Output } from '../output.ts';
import type { Line, Span } from '../text.ts';

/** `check`: is everything in place, and what to do where it is not. */
export async function checkCommand(
  { notify, silenceMs }: CommandOf<'check'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const found = await check({ silenceMs }, app, signal);
  const channels = notify ? await sendTests(app, signal) : await lookAtChannels(app);
  const checks = [...found.checks, ...channels];
  const report = { ok: checks.every(({ ok }) => ok), checks };
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

async function sendTests(app: App, signal: AbortSignal): Promise<readonly Check[]> {
  const { sources } = await app.discover(signal);
  // Where each source has an address of its own, one that exists is asked for.
  return testChannels(app, sources[0]?.job.source ?? 'backupd', signal);
}

async function lookAtChannels(app: App): Promise<readonly Check[]> {
  return app.storageFailure === null ? checkChannels(app) : [];
}
