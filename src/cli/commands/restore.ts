import { formatDuration } from '../../core/duration.ts';
import { BackupdError } from '../../core/errors.ts';
import type { App } from '../../jobs/context.ts';
import { planRestore, type RestoreDecision } from '../../jobs/plan-restore.ts';
import { runRestore, type RestoreReport } from '../../jobs/restore.ts';
import type { CommandOf } from '../arguments.ts';
import { formatAge, formatInstant, formatOptionalSize, formatSize } from '../format.ts';
import { warningLine, type Output } from '../output.ts';
import { fieldLines, tableLines } from '../table.ts';
import type { Line } from '../text.ts';

/** `restore`: shows what it will do, asks where there is somebody to ask, does it. */
export async function restoreCommand(
  args: CommandOf<'restore'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const decision = await planRestore(args, app, signal);
  out.print(...planLines(decision));
  if (args.dryRun) {
    refuseDamaged(decision);
    out.printJson(describePlan(decision));
    return 0;
  }
  if (!args.yes) {
    await confirmRestore(out, signal);
  }
  const report = await runRestore(decision, app, signal);
  out.printJson(describeReport(report));
  out.print(
    '',
    [
      { text: 'restored', format: 'green' },
      ` ${report.source} from ${report.id ?? ''} into ${report.into} in ${formatDuration(report.durationMs)}`,
    ],
    ...reportLines(report),
  );
  return 0;
}

/** What a restore would find first of all. */
function refuseDamaged({ id, damage }: RestoreDecision): void {
  if (damage !== null) {
    throw new BackupdError('archive-corrupt', `backup ${id} cannot be restored: ${damage}`, {
      hint: 'Restore another one (see "backupd list"), and look at the disk.',
    });
  }
}

/** Without a terminal it goes on: what is replaced is kept, and `--undo` brings it back. */
async function confirmRestore(out: Output, signal: AbortSignal): Promise<void> {
  if (out.interactive && !(await out.confirm('Restore this?', signal))) {
    throw new BackupdError('cancelled', 'nothing was changed');
  }
}

/** What `restore --json` says; `--undo` says the same. */
export function describeReport(report: RestoreReport): Readonly<Record<string, unknown>> {
  const { source, id, into, databases, durationMs, warnings } = report;
  return { source, id, into, databases, durationMs, warnings };
}

function describePlan(decision: RestoreDecision): Readonly<Record<string, unknown>> {
  const { source, id, into, startedAt, gap, databases, stops, fetch, warnings } = decision;
  return {
    plan: true,
    source,
    id,
    into,
    databases: databases.map((database) => ({ ...database, previous: null, facts: null })),
    durationMs: null,
    startedAt,
    gap,
    stops,
    fetch,
    warnings,
  };
}

function planLines(decision: RestoreDecision): readonly Line[] {
  const { source, id, startedAt, into, gap, databases, stops, fetch, warnings } = decision;
  return [
    ...fieldLines([
      ['restore', { text: source, format: 'bold' }],
      [
        'backup',
        `${id}, begun ${formatInstant(startedAt)}, ${formatAge(startedAt, Date.now())} ago`,
      ],
      ...(fetch === null
        ? []
        : [['fetched from', `${fetch.destination}, ${formatSize(fetch.bytes)} at most`] as const]),
      ['into', into],
      ...(stops.length === 0 ? [] : [['stopped for the swap', stops.join(', ')] as const]),
      ...(gap === null ? [] : [['gap', { text: gap, format: 'yellow' }] as const]),
    ]),
    ...warnings.map(({ message }) => warningLine(message)),
    '',
    ...tableLines(
      [
        { title: 'DATABASE' },
        { title: 'RESTORED AS' },
        { title: 'SIZE', align: 'right' },
        { title: 'WHAT IS THERE NOW' },
      ],
      databases.map(({ name, restoredAs, sizeBytes, replaces }) => [
        name,
        restoredAs,
        formatOptionalSize(sizeBytes),
        replaces ? 'is kept under another name' : 'nothing',
      ]),
    ),
  ];
}

/** What was restored, and where what was there is now. */
export function reportLines(report: RestoreReport): readonly Line[] {
  const { source, databases, warnings } = report;
  const kept = databases.some(({ previous }) => previous !== null);
  return [
    ...tableLines(
      [{ title: 'DATABASE' }, { title: 'RESTORED AS' }, { title: 'KEPT' }, { title: 'FACTS' }],
      databases.map(({ name, restoredAs, previous, facts }) => [
        name,
        restoredAs,
        previous ?? '-',
        facts === null ? '-' : facts.matches ? 'match' : { text: 'differ', format: 'red' },
      ]),
    ),
    ...warnings.map(({ message }) => warningLine(message)),
    ...(kept
      ? [
          `What was there is kept. Back to it: "backupd restore ${source} --undo"; when it is not needed any more: "backupd restore ${source} --drop-previous".`,
        ]
      : []),
  ];
}
