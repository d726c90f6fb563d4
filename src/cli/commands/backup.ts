import { formatDuration } from '../../core/duration.ts';
import { toFailure, type Failure } from '../../core/errors.ts';
import type { Outcome } from '../../core/events.ts';
import { dumpBytes, storedBytes, type Manifest, type Warning } from '../../core/manifest.ts';
import type { Engine } from '../../core/target.ts';
import { runBackup } from '../../jobs/backup.ts';
import type { App, BoundSource } from '../../jobs/context.ts';
import { pruneAfterBackup } from '../../jobs/prune.ts';
import { collectProblems } from '../../jobs/status.ts';
import type { CommandOf } from '../arguments.ts';
import { chooseSources, type Chosen } from '../choose-sources.ts';
import { failureLines, firstExitCode, hintLine } from '../failure-text.ts';
import { formatSize } from '../format.ts';
import { warningLine, type Output } from '../output.ts';
import type { Line } from '../text.ts';

/** One source's part of the result. */
interface Run {
  readonly source: string;
  readonly engine: Engine | null;
  readonly outcome: Outcome;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly manifest: Manifest | null;
  readonly failure: Failure | null;
  /** What went wrong beside a backup that is good. */
  readonly warnings: readonly Warning[];
}

type Args = CommandOf<'backup'>;

/** `backup`: one source after the other, on with the next when one fails. @returns the first failure's exit code */
export async function backupCommand(
  args: Args,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const discovery = await app.discover(signal);
  const problems = collectProblems(app, discovery);
  const chosen = chooseSources(args.sources, { ...discovery, problems });
  for (const { option, message, hint } of problems.filter(({ severity }) => severity === 'loud')) {
    out.note(warningLine(`${option}: ${message}`), ...(hint === null ? [] : [hintLine(hint)]));
  }
  const runs: Run[] = [];
  for (const one of chosen) {
    signal.throwIfAborted();
    const run = 'bound' in one ? await backUp(one.bound, args, { app, out }, signal) : notRun(one);
    runs.push(run);
    out.note(...(run.failure === null ? [] : failureLines(named(run.source, run.failure))));
    out.note(...run.warnings.map(({ message }) => warningLine(`${run.source}: ${message}`)));
    out.print(...runLines(run));
    if (signal.aborted) {
      break;
    }
  }
  out.printJson({ runs: runs.map((run) => describeRun(run)) });
  return firstExitCode(runs.map(({ failure }) => failure));
}

async function backUp(
  bound: BoundSource,
  args: Args,
  { app, out }: { readonly app: App; readonly out: Output },
  signal: AbortSignal,
): Promise<Run> {
  const { job, source } = bound;
  out.expect(job.source, await lastDumpBytes(job.source, app));
  const run = await runBackup(
    {
      source,
      job,
      trigger: 'manual',
      pins: args.pin ? ['by-hand'] : [],
      waitMs: args.waitMs,
      // That is the daemon's.
      tryAgain: () => null,
    },
    app.context,
    signal,
  );
  const warnings = run.failure === null ? await pruneQuietly(bound, app, signal) : [];
  return { ...run, warnings };
}

/** For the progress only: where it cannot be told the backup itself will say what is wrong. */
async function lastDumpBytes(source: string, { context }: App): Promise<number | null> {
  try {
    const [last] = await context.catalog.entries(source);
    return last === undefined ? null : dumpBytes(last.manifest);
  } catch {
    return null;
  }
}

/** Retention that fails does not make the backup a failure: it is there, and it is good. */
async function pruneQuietly(
  bound: BoundSource,
  app: App,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  try {
    const { held, failures } = await pruneAfterBackup(bound.job, app.context, signal);
    return [
      ...failures.map(({ failure }) => pruneFailed(failure.message)),
      ...held.map(({ count }) => ({
        code: 'prune-held',
        message: `retention would remove ${count} backups, more than half of them, and removed none; where that is meant run "backupd prune ${bound.job.source} --yes"`,
      })),
    ];
  } catch (error) {
    return [pruneFailed(toFailure(error).message)];
  }
}

function pruneFailed(message: string): Warning {
  return { code: 'prune-failed', message: `old backups stay for now: ${message}` };
}

function notRun(chosen: Extract<Chosen, { readonly failure: Failure }>): Run {
  return {
    source: chosen.source,
    engine: null,
    outcome: 'failed',
    startedAt: new Date().toISOString(),
    durationMs: 0,
    manifest: null,
    failure: chosen.failure,
    warnings: [],
  };
}

function named(source: string, failure: Failure): Failure {
  return { ...failure, message: `${source}: ${failure.message}` };
}

function runLines({ source, manifest, durationMs }: Run): readonly Line[] {
  if (manifest === null) {
    return [];
  }
  const sizes = `${formatSize(storedBytes(manifest))} (${formatSize(dumpBytes(manifest))} dumped)`;
  return [
    [
      manifest.suspicious
        ? { text: 'suspicious', format: 'yellow' }
        : { text: 'backed up', format: 'green' },
      ` ${source}: ${manifest.id}, ${sizes} in ${formatDuration(durationMs)}`,
    ],
  ];
}

function describeRun(run: Run): Readonly<Record<string, unknown>> {
  const { source, engine, outcome, startedAt, durationMs, manifest, failure } = run;
  return {
    source,
    engine,
    // For programs there are three ways to end: what was interrupted failed.
    outcome: outcome === 'interrupted' ? 'failed' : outcome,
    id: manifest?.id ?? null,
    startedAt,
    durationMs,
    storedBytes: manifest === null ? null : storedBytes(manifest),
    dumpBytes: manifest === null ? null : dumpBytes(manifest),
    warnings: [...(manifest?.warnings ?? []), ...run.warnings],
    error: failure,
  };
}
