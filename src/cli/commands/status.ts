import { formatDuration } from '../../core/duration.ts';
import { FAILURES } from '../../core/errors.ts';
import type {
  DestinationStatus,
  SourceState,
  SourceStatus,
  StatusReport,
} from '../../core/status.ts';
import type { App } from '../../jobs/context.ts';
import { buildStatus } from '../../jobs/status.ts';
import type { CommandOf } from '../arguments.ts';
import { hintLine } from '../failure-text.ts';
import { formatAge, formatInstant, formatOptionalSize, formatSize } from '../format.ts';
import type { Output } from '../output.ts';
import { tableLines } from '../table.ts';
import type { Format, Line } from '../text.ts';

/** `status`: how each source stands. */
export async function statusCommand(
  _args: CommandOf<'status'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const now = new Date();
  const report = await buildStatus(app, await app.discover(signal), now);
  out.printJson(report);
  out.print(...statusLines(report, now.getTime()));
  return report.healthy ? 0 : FAILURES.unhealthy.exitCode;
}

const FORMATS: Readonly<Record<SourceState, Format>> = {
  ok: 'green',
  running: 'cyan',
  overdue: 'red',
  failed: 'red',
  never: 'yellow',
  missing: 'red',
};

/** The report for people: a table, what failed last, be it a backup or a restore, what restores kept, every problem. */
export function statusLines(report: StatusReport, nowMs: number): readonly Line[] {
  return [
    ...(report.sources.length === 0 ? [] : sourceTable(report.sources, nowMs)),
    ...(report.destinations.length === 0
      ? []
      : ['', ...destinationTable(report.destinations, nowMs), '']),
    ...report.sources.flatMap((source) => detailLines(source)),
    ...report.problems.flatMap(({ message, hint }) => problemLines(message, hint)),
    report.healthy ? { text: 'healthy', format: 'green' } : { text: 'not healthy', format: 'red' },
  ];
}

function sourceTable(sources: readonly SourceStatus[], nowMs: number): readonly Line[] {
  return tableLines(
    [
      { title: 'SOURCE' },
      { title: 'STATE' },
      { title: 'LAST GOOD', align: 'right' },
      { title: 'SIZE', align: 'right' },
      { title: 'BACKUPS', align: 'right' },
      { title: 'NEXT RUN' },
      { title: 'COPIES' },
      { title: 'DRILL' },
      { title: '3-2-1' },
    ],
    sources.map((source) => [
      source.source,
      { text: source.state, format: FORMATS[source.state] },
      source.lastSuccessAt === null ? '-' : `${formatAge(source.lastSuccessAt, nowMs)} ago`,
      formatOptionalSize(source.sizeBytes),
      String(source.backups),
      formatInstant(source.nextRunAt),
      source.copies.map(({ destination, state }) => `${destination} ${state}`).join(', ') || '-',
      drillText(source, nowMs),
      source.threeTwoOne.holds ? 'yes' : `no: ${source.threeTwoOne.missing.join(', ')}`,
    ]),
  );
}

/** With what it measured: how long it takes to have the data back. */
function drillText(
  { lastDrill, drill }: SourceStatus,
  nowMs: number,
): Exclude<Line, readonly unknown[]> {
  if (lastDrill === null) {
    return drill.skipped === null ? '-' : { text: 'skipped', format: 'yellow' };
  }
  const { ok, at, recoveryMs, integrity } = lastDrill;
  const compared = ok && integrity === null ? ', nothing compared' : '';
  const took = recoveryMs === null ? '' : `, took ${formatDuration(recoveryMs)}`;
  return {
    text: `${ok ? 'ok' : 'failed'} ${formatAge(at, nowMs)} ago${compared}${took}`,
    format: ok ? 'green' : 'red',
  };
}

const DESTINATION_FORMATS: Readonly<Record<DestinationStatus['state'], Format>> = {
  ok: 'green',
  running: 'cyan',
  pending: 'yellow',
  overdue: 'red',
  failed: 'red',
  lost: 'red',
  never: 'yellow',
};

function destinationTable(
  destinations: readonly DestinationStatus[],
  nowMs: number,
): readonly Line[] {
  return tableLines(
    [
      { title: 'DESTINATION' },
      { title: 'STATE' },
      { title: 'LAST UPLOAD', align: 'right' },
      { title: 'PENDING', align: 'right' },
      { title: 'NEXT RUN' },
      { title: 'OFF-SITE' },
      { title: 'PLACE' },
    ],
    destinations.map((status) => [
      status.destination,
      { text: status.state, format: DESTINATION_FORMATS[status.state] },
      status.lastSuccessAt === null ? '-' : `${formatAge(status.lastSuccessAt, nowMs)} ago`,
      status.pendingBackups === 0
        ? '-'
        : `${status.pendingBackups} (${formatSize(status.pendingBytes)})`,
      formatInstant(status.nextRunAt),
      status.isOffsite === null ? '-' : status.isOffsite ? 'yes' : 'no',
      status.place ?? '-',
    ]),
  );
}

function detailLines(status: SourceStatus): readonly Line[] {
  const { source, state, lastAttempt, lastRestore, previous } = status;
  const failed =
    state === 'ok' || lastAttempt === null || lastAttempt.message === null
      ? []
      : [
          `${source}: last attempt ${formatInstant(lastAttempt.at)} ${lastAttempt.outcome}: ${lastAttempt.message}`,
        ];
  const kept =
    previous.length === 0
      ? []
      : [
          `${source}: a restore kept ${previous.join(', ')} ("backupd restore ${source} --undo" swaps back, "--drop-previous" drops)`,
        ];
  const restore =
    lastRestore === null || lastRestore.outcome === 'success'
      ? []
      : [
          `${source}: last restore ${formatInstant(lastRestore.at)} ${lastRestore.outcome}: ${lastRestore.message ?? ''}`,
        ];
  const skipped =
    status.drill.skipped === null
      ? []
      : [
          `${source}: last drill ${formatInstant(status.drill.skipped.at)} skipped: ${status.drill.skipped.failure.message}`,
        ];
  return [...failed, ...restore, ...skipped, ...kept];
}

function problemLines(message: string, hint: string | null): readonly Line[] {
  return [
    [{ text: 'problem: ', format: 'red' }, message],
    ...(hint === null ? [] : [hintLine(hint)]),
  ];
}
