import type { Logger } from 'pino';
import type { Outcome } from '../core/events.ts';
import { runBackup } from '../jobs/backup.ts';
import type { App } from '../jobs/context.ts';
import { pruneAfterBackup } from '../jobs/prune.ts';
import type { ScheduledRun } from './occurrences.ts';
import { failureFields } from './trouble.ts';

/** How long a run waits for a command that holds the source: a prune takes moments, a restore is not waited for. */
const LOCK_WAIT_MS = 60_000;

export interface ScheduledBackup extends ScheduledRun {
  readonly context: App['context'];
  readonly log: Logger;
}

/** Makes a backup and applies the retention of its source; how the backup ended is the outcome. */
export async function backUpOnSchedule(
  { bound: { job, source }, trigger, tryAgain, context, log }: ScheduledBackup,
  signal: AbortSignal,
): Promise<{ readonly outcome: Outcome }> {
  const request = { source, job, trigger, pins: [], waitMs: LOCK_WAIT_MS, tryAgain };
  const { outcome, failure } = await runBackup(request, context, signal);
  if (outcome !== 'success') {
    return { outcome };
  }
  if (failure !== null) {
    log.error({ source: job.source, ...failureFields(failure) }, 'run not recorded');
  }
  try {
    const { failures } = await pruneAfterBackup(job, context, signal);
    for (const { source, failure } of failures) {
      log.error({ source, ...failureFields(failure) }, 'retention failed');
    }
  } catch (error) {
    // It ends so where the daemon stops; the next backup applies it again.
    if (!signal.aborted) {
      throw error;
    }
  }
  return { outcome };
}
