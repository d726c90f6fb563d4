import type { DrillReport } from '../../core/drill.ts';
import { formatDuration } from '../../core/duration.ts';
import { BackupdError, FAILURES, toFailure, type Failure } from '../../core/errors.ts';
import { drillSource } from '../../jobs/drill.ts';
import type { App } from '../../jobs/context.ts';
import { collectProblems } from '../../jobs/status.ts';
import { sweepDrills } from '../../jobs/sweep-drills.ts';
import type { CommandOf } from '../arguments.ts';
import { chooseSources } from '../choose-sources.ts';
import { exitCodeOf, failureLines } from '../failure-text.ts';
import type { Output } from '../output.ts';
import type { Line } from '../text.ts';

type Args = CommandOf<'drill'>;

/** A drill, or why none could be begun. */
type Result = Pick<
  DrillReport,
  | 'source'
  | 'id'
  | 'from'
  | 'ok'
  | 'recoveryMs'
  | 'integrity'
  | 'differences'
  | 'notCompared'
  | 'checks'
  | 'notes'
  | 'skipped'
  | 'failure'
>;

/**
 * `drill`: a restore test of one source, or of all that are drilled; on with the next when one fails.
 * @returns 23 where one failed, the reason's exit code where one could not be tried
 */
export async function drillCommand(
  args: Args,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const discovery = await app.discover(signal);
  const problems = collectProblems(app, discovery);
  const chosen = chooseSources(args.source === null ? [] : [args.source], {
    ...discovery,
    problems,
  });
  await sweepDrills(app, signal);
  const results: Result[] = [];
  for (const one of chosen) {
    if ('failure' in one) {
      results.push(notBegun(one.source, one.failure));
    } else if (args.source !== null || one.bound.job.drill.patterns.length > 0) {
      results.push(await drill(one.bound.job, args, app, signal));
    }
    const last = results.at(-1);
    if (last?.source === one.source) {
      out.note(...(last.failure === null ? [] : failureLines(named(last.source, last.failure))));
      out.print(...resultLines(last));
    }
  }
  if (results.length === 0) {
    out.note('every source has its drills off: name one to drill it all the same');
  }
  out.printJson(results.map((result) => describeResult(result)));
  return exitCode(results);
}

async function drill(
  job: Parameters<typeof drillSource>[0],
  { waitMs }: Args,
  app: App,
  signal: AbortSignal,
): Promise<Result> {
  try {
    return await drillSource(job, app, { waitMs }, signal);
  } catch (error) {
    if (signal.aborted || !(error instanceof BackupdError)) {
      throw error;
    }
    return notBegun(job.source, toFailure(error));
  }
}

function notBegun(source: string, failure: Failure): Result {
  return {
    source,
    id: null,
    from: null,
    ok: false,
    recoveryMs: null,
    integrity: null,
    differences: [],
    notCompared: [],
    checks: [],
    notes: [],
    skipped: failure.message,
    failure,
  };
}

function named(source: string, failure: Failure): Failure {
  return { ...failure, message: `${source}: ${failure.message}` };
}

/** What could not be tried is no success, and no verdict on a backup either. */
function exitCode(results: readonly Result[]): number {
  const failed = results.find(({ ok, skipped }) => !ok && skipped === null);
  const [skipped] = results.flatMap(({ ok, failure }) => (ok || failure === null ? [] : failure));
  if (failed !== undefined) {
    return FAILURES['verification-failed'].exitCode;
  }
  return skipped === undefined ? 0 : exitCodeOf(skipped);
}

const SHOWN = 20;

function resultLines(result: Result): readonly Line[] {
  const { source, id, recoveryMs, differences, notCompared, checks, notes } = result;
  const recovered = recoveryMs === null ? '' : `, recovered in ${formatDuration(recoveryMs)}`;
  const rest = differences.length - SHOWN;
  return [
    [verdict(result), ` ${source}${id === null ? '' : `: ${id}`}${recovered}${integrity(result)}`],
    ...differences
      .slice(0, SHOWN)
      .map(
        ({ database, what, expected, actual }): Line =>
          `  ${what} in "${database}": ${expected ?? 'none'} when dumped, ${actual ?? 'none'} restored`,
      ),
    ...(rest > 0 ? [`  and ${rest} more differences`] : []),
    ...checks.map(
      ({ check, ok, found }): Line => `  check ${ok ? 'passed' : 'failed'}: ${check}: ${found}`,
    ),
    ...(notCompared.length === 0
      ? []
      : [`  not compared: ${notCompared.slice(0, SHOWN).join(', ')}`]),
    ...notes.map((note): Line => `  ${note}`),
  ];
}

function verdict({ ok, skipped }: Result): Exclude<Line, readonly unknown[]> {
  if (ok) {
    return { text: 'passed', format: 'green' };
  }
  return skipped === null
    ? { text: 'FAILED', format: 'red' }
    : { text: 'skipped', format: 'yellow' };
}

function integrity({ ok, integrity: part }: Result): string {
  // Rounded down: what is not all is not 100 %.
  if (part === null) {
    return ok ? ', nothing compared' : '';
  }
  return `, ${Math.floor(part * 1000) / 10} % as it was dumped`;
}

function describeResult({ failure, ...result }: Result): Readonly<Record<string, unknown>> {
  const { source, id, from, ok, recoveryMs, differences, notCompared, checks, notes } = result;
  return {
    source,
    id,
    ok,
    recoveryMs,
    integrity: result.integrity,
    differences,
    skipped: result.skipped,
    error: failure,
    from,
    notCompared,
    checks,
    notes,
  };
}
