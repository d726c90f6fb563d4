import { copyRules, pendingCopies } from '../core/copies.ts';
import type { UploadRecord } from '../core/upload-record.ts';
import { uploadDueAt } from '../core/upload-record.ts';
import type { ConfiguredDestination, JobContext } from '../jobs/context.ts';
import { readRules, type RuleBook } from '../jobs/retention-rules.ts';
import { uploadTo } from '../jobs/upload.ts';
import { readDestinationLock } from '../store/read-lock.ts';
import { readUploadRecord } from '../store/upload-record.ts';
import { alarm } from './alarm.ts';
import { attempt, LONGEST_SLEEP_MS, type Loops } from './loops.ts';
import { failureFields } from './trouble.ts';

/**
 * Uploads to each destination when its time has come, until the signal aborts; each by itself, so that one that hangs
 * delays no other and no backup. An upload that is cut off by the signal is gone on with by the next life.
 */
export async function keepUploads(loops: Loops, signal: AbortSignal): Promise<void> {
  const { destinations } = loops.app.context;
  await Promise.all(destinations.map((each) => keepUploadsTo(each, loops, signal)));
}

async function keepUploadsTo(
  configured: ConfiguredDestination,
  loops: Loops,
  signal: AbortSignal,
): Promise<void> {
  const pause = alarm();
  while (!signal.aborted) {
    let sleepMs = LONGEST_SLEEP_MS;
    async function look(): Promise<void> {
      const rules = await readRules(loops.app, loops.seen);
      const dueMs = await findDue(configured, rules, loops.app.context);
      if (dueMs === null) {
        return;
      }
      const leftMs = dueMs - Date.now();
      if (leftMs > 0) {
        sleepMs = Math.min(sleepMs, leftMs);
        return;
      }
      await run(configured, rules, loops, signal);
    }
    await attempt(loops, 'uploads not looked at', look, signal);
    await pause.sleep(sleepMs, signal);
  }
}

/** Null: not by itself, or somebody is at work there, a command perhaps. */
async function findDue(
  { settings }: ConfiguredDestination,
  rules: RuleBook,
  context: JobContext,
): Promise<number | null> {
  const { dir } = context.storage;
  if ((await readDestinationLock(dir, settings.name))?.alive === true) {
    return null;
  }
  const record = await readUploadRecord(dir, settings.name);
  const isWanted = await isAnythingPending({ settings, record, rules }, context);
  return uploadDueAt(settings.schedule, record, isWanted, Date.now());
}

/** Asked of the catalog only as long as it matters. */
async function isAnythingPending(
  {
    settings,
    record,
    rules,
  }: Pick<ConfiguredDestination, 'settings'> & {
    readonly record: UploadRecord;
    readonly rules: RuleBook;
  },
  { catalog }: JobContext,
): Promise<boolean> {
  for (const source of record.lastAttempt === null ? await catalog.sources() : []) {
    const own = copyRules(settings, rules.lookUp(source));
    if (pendingCopies(await catalog.entries(source), own, Date.now()).length > 0) {
      return true;
    }
  }
  return false;
}

async function run(
  configured: ConfiguredDestination,
  rules: RuleBook,
  { app, log }: Loops,
  signal: AbortSignal,
): Promise<void> {
  const request = { takeOver: false, waitMs: 0, rules };
  const { retention } = await uploadTo(configured, request, app.context, signal);
  for (const { source, where, failure } of signal.aborted ? [] : retention.failures) {
    log.error({ source, where, ...failureFields(failure) }, 'retention failed');
  }
}
