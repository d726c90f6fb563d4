import { formatDuration } from '../../core/duration.ts';
import { BackupdError } from '../../core/errors.ts';
import type { App } from '../../jobs/context.ts';
import {
  dropPrevious,
  listPrevious,
  planUndo,
  runUndo,
  type UndoDecision,
} from '../../jobs/undo.ts';
import type { CommandOf } from '../arguments.ts';
import { formatInstant } from '../format.ts';
import type { Output } from '../output.ts';
import { fieldLines, tableLines } from '../table.ts';
import type { Line } from '../text.ts';
import { describeReport, reportLines } from './restore.ts';

/** `restore --undo`: swaps back what the last restore replaced. Asks nothing, since done twice it is a redo. */
export async function undoCommand(
  args: CommandOf<'undo'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const decision = await planUndo(args, app, signal);
  out.print(...planLines(decision));
  if (args.dryRun) {
    out.printJson(describePlan(decision));
    return 0;
  }
  const report = await runUndo(decision, app, signal);
  out.printJson(describeReport(report));
  out.print(
    '',
    [{ text: 'undone', format: 'green' }, ` in ${formatDuration(report.durationMs)}`],
    ...reportLines(report),
  );
  return 0;
}

function describePlan(decision: UndoDecision): Readonly<Record<string, unknown>> {
  const { source, into, databases, replacedAt, stops } = decision;
  return {
    plan: true,
    source,
    id: null,
    into,
    databases: databases.map(({ name, keptAs }) => ({
      name: keptAs,
      restoredAs: name,
      previous: null,
      facts: null,
    })),
    durationMs: null,
    replacedAt,
    stops,
  };
}

function planLines({ source, into, databases, replacedAt, stops }: UndoDecision): readonly Line[] {
  return [
    ...fieldLines([
      ['undo', `the restore of ${source} at ${formatInstant(replacedAt)}`],
      ['into', into],
      ...(stops.length === 0 ? [] : [['stopped for the swap', stops.join(', ')] as const]),
    ]),
    '',
    ...tableLines(
      [{ title: 'DATABASE' }, { title: 'COMES BACK FROM' }, { title: 'WHAT IS THERE NOW' }],
      databases.map(({ name, keptAs }) => [
        name,
        keptAs ?? 'nothing: the restore had created it',
        'is kept under another name',
      ]),
    ),
  ];
}

/** `restore --drop-previous`: drops for good what restores kept; the only command that cannot be undone. */
export async function dropPreviousCommand(
  args: CommandOf<'drop-previous'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const names = await listPrevious(args, app, signal);
  if (names.length > 0) {
    out.print('to be dropped for good:', ...names.map((name) => `  ${name}`));
  }
  if (args.dryRun) {
    out.printJson({ plan: true, source: args.source, dropped: names });
    return 0;
  }
  if (names.length > 0 && !args.yes) {
    await confirmDrop(args.source, out, signal);
  }
  const { source, dropped } = await dropPrevious(args, app, signal);
  out.printJson({ source, dropped });
  out.print([
    { text: 'dropped', format: 'green' },
    ` ${dropped.length === 1 ? '1 database' : `${dropped.length} databases`}`,
  ]);
  return 0;
}

async function confirmDrop(source: string, out: Output, signal: AbortSignal): Promise<void> {
  if (!out.interactive) {
    throw new BackupdError(
      'usage',
      'what is dropped cannot be brought back, and nobody can be asked',
      {
        hint: `Run "backupd restore ${source} --drop-previous --yes" where that is meant.`,
      },
    );
  }
  if (!(await out.confirm('Drop this? There is no way back.', signal))) {
    throw new BackupdError('cancelled', 'nothing was changed');
  }
}
