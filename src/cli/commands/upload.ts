import type { Failure } from '../../core/errors.ts';
import type { App } from '../../jobs/context.ts';
import { upload, type UploadResult } from '../../jobs/upload.ts';
import { formatDuration } from '../../core/duration.ts';
import type { CommandOf } from '../arguments.ts';
import { failureLines, firstExitCode } from '../failure-text.ts';
import { formatSize } from '../format.ts';
import { warningLine, type Output } from '../output.ts';
import type { Line } from '../text.ts';

type Sending = UploadResult['sendings'][number];

/** `upload`: what is pending, now. @returns the exit code of the first that did not get there */
export async function uploadCommand(
  args: CommandOf<'upload'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const result = await upload(args, app, signal);
  out.printJson(describeResult(result));
  if (result.sendings.length === 0 && result.failures.length === 0) {
    out.note('nothing to send');
  }
  for (const sending of result.sendings) {
    out.print(...sendingLines(sending));
    const { source, id, destination, failure } = sending;
    if (failure !== null) {
      out.note(...failureLines(named(`${destination}: ${source} ${id}`, failure)));
    }
  }
  for (const { destination, failure } of [...result.failures, ...refusals(result)]) {
    out.note(...failureLines(named(destination, failure)));
  }
  out.note(...retentionLines(result));
  return firstExitCode([
    ...result.failures.map(({ failure }) => failure),
    ...result.sendings.map(({ failure }) => failure),
    ...refusals(result).map(({ failure }) => failure),
  ]);
}

/** Stores that cannot do what is configured of them, each once: that is no matter of old backups alone. */
function refusals({ retention }: UploadResult): UploadResult['failures'] {
  const refused = retention.failures.filter((failed) => isRefusal(failed)).toReversed();
  const byDestination = new Map(refused.map(({ where, failure }) => [where, failure]));
  return [...byDestination].map(([destination, failure]) => ({ destination, failure }));
}

function isRefusal({ source, failure }: UploadResult['retention']['failures'][number]): boolean {
  return source === null && failure.code === 'config-invalid';
}

function named(subject: string, failure: Failure): Failure {
  return { ...failure, message: `${subject}: ${failure.message}` };
}

/** Each backup, then a line without one for each destination at which the work did not come to its end. */
function describeResult(result: UploadResult): readonly Readonly<Record<string, unknown>>[] {
  const { sendings, failures } = result;
  return [
    ...sendings.map(({ failure, ...sending }) => ({ ...sending, error: failure })),
    ...[...failures, ...refusals(result)].map(({ destination, failure }) => ({
      id: null,
      source: null,
      destination,
      ok: false,
      bytes: 0,
      durationMs: 0,
      error: failure,
    })),
  ];
}

function sendingLines({
  ok,
  source,
  id,
  destination,
  bytes,
  durationMs,
}: Sending): readonly Line[] {
  return ok
    ? [
        [
          { text: 'uploaded', format: 'green' },
          ` ${source} ${id} to ${destination}, ${formatSize(bytes)} in ${formatDuration(durationMs)}`,
        ],
      ]
    : [];
}

/** Retention that fails does not make an upload a failure: the copies are there. */
function retentionLines({ retention }: UploadResult): readonly Line[] {
  const removed = Map.groupBy(
    retention.backups.filter((verdict) => verdict.removed),
    ({ source, where }) => `of ${source} at ${where}`,
  );
  return [
    ...[...removed].map(
      ([of, { length }]): Line =>
        `removed ${length} ${length === 1 ? 'backup' : 'backups'} ${of} that no rule keeps there`,
    ),
    ...retention.failures
      .filter((failed) => !isRefusal(failed))
      .map(({ source, where, failure }) =>
        warningLine(
          `old backups at ${where}${source === null ? '' : ` of ${source}`} stay for now: ${failure.message}`,
        ),
      ),
    ...retention.held.map(({ source, where, count }) =>
      warningLine(
        `retention would remove ${count} backups of ${source} at ${where}, more than half of them, and removed none; where that is meant run "backupd prune ${source} --yes"`,
      ),
    ),
  ];
}
