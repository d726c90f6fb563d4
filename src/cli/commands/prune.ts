import type { App } from '../../jobs/context.ts';
import { prune } from '../../jobs/prune.ts';
import {
  heldFailure,
  LOCAL,
  type PruneResult,
  type PruneVerdict,
} from '../../jobs/prune-result.ts';
import type { CommandOf } from '../arguments.ts';
import { failureLines, firstExitCode } from '../failure-text.ts';
import type { Output } from '../output.ts';
import { tableLines } from '../table.ts';
import type { Line, Span } from '../text.ts';

/** `prune`: retention now, with the reason for every verdict. */
export async function pruneCommand(
  args: CommandOf<'prune'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const result = await prune(args, app, signal);
  const failures = [
    ...result.failures,
    ...result.held.map((held) => ({ ...held, failure: heldFailure(held) })),
  ];
  out.printJson(describeResult(result.backups, failures));
  if (result.backups.length > 0) {
    out.print(...verdictTable(result.backups));
  } else {
    out.note('no backups');
  }
  for (const { source, where, failure } of failures) {
    const subject = [where === LOCAL ? null : where, source].filter((part) => part !== null);
    out.note(...failureLines({ ...failure, message: `${subject.join(': ')}: ${failure.message}` }));
  }
  // A dry run that finds out that a prune would hold has done all that was asked of it.
  const reported = args.dryRun ? result.failures : failures;
  return firstExitCode(reported.map(({ failure }) => failure));
}

type PruneFailure = PruneResult['failures'][number];

/** Each verdict, then a line without a backup for each source or place whose retention did not come to its end. */
function describeResult(
  backups: readonly PruneVerdict[],
  failures: readonly PruneFailure[],
): readonly Readonly<Record<string, unknown>>[] {
  return [
    ...backups.map((verdict) => ({ ...verdict, error: null })),
    ...failures.map(({ source, where, failure }) => ({
      id: null,
      source,
      where,
      keep: true,
      reasons: [],
      removed: false,
      error: failure,
    })),
  ];
}

function verdictTable(backups: readonly PruneVerdict[]): readonly Line[] {
  return tableLines(
    [
      { title: 'ID' },
      { title: 'SOURCE' },
      { title: 'WHERE' },
      { title: 'VERDICT' },
      { title: 'WHY' },
    ],
    backups.map((verdict) => [
      verdict.id,
      verdict.source,
      verdict.where,
      verdictSpan(verdict),
      verdict.reasons.join(', '),
    ]),
  );
}

function verdictSpan({ keep, removed }: PruneVerdict): Span {
  if (removed) {
    return { text: 'removed', format: 'red' };
  }
  return keep ? { text: 'keep', format: 'green' } : { text: 'remove', format: 'yellow' };
}
