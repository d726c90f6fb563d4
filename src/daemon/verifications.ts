import type { Logger } from 'pino';
import { isDamaged, type CatalogEntry } from '../core/catalog-entry.ts';
import { toFailure } from '../core/errors.ts';
import { nextReading, nextSamples, type NextReading } from '../core/rotation.ts';
import type { ConfiguredDestination } from '../jobs/context.ts';
import { recordStored } from '../jobs/fetch-backup.ts';
import { healBackup, type Healing } from '../jobs/heal.ts';
import { sampleCopy } from '../jobs/sample-copies.ts';
import { damagedBackups, verifyBackups, type BackupRef, type VerifyApp } from '../jobs/verify.ts';
import { alarm } from './alarm.ts';
import { attempt, type Loops } from './loops.ts';
import type { RunQueue } from './queue.ts';
import { failureFields, troubleFields } from './trouble.ts';

/** How often it is looked whether anything is due. */
const LOOK_EVERY_MS = 600_000;
/** What could not be read, mended or sampled is tried again after this time. */
const AGAIN_MS = 3_600_000;
/** What cannot be mended or sampled as things are, after this. */
const SELDOM_MS = 24 * AGAIN_MS;
/** From the end of one reading to the next at least. */
const REST_MS = 1000;

/** Reads back what is there, one after the other; keeps no time itself. */
export interface Verifier {
  /** Does one thing that is due, if one is. @returns when the next one is, in milliseconds */
  next(nowMs: number, signal: AbortSignal): Promise<number>;
}

interface Verifying {
  readonly app: VerifyApp;
  readonly log: Logger;
  readonly destinations: readonly ConfiguredDestination[];
  /** What is not tried before an instant, by what it is; of this life alone. */
  readonly notBefore: Map<string, number>;
  readonly nowMs: number;
}

/**
 * Reads the backups here back in rotation and samples the copies until the signal aborts; mends what is damaged. What is
 * due follows from receipts, so that a restart goes on where it was.
 */
export async function keepVerifying(
  loops: Loops,
  queue: RunQueue,
  signal: AbortSignal,
): Promise<void> {
  const pause = alarm();
  const rotation = verifier(loops, queue);
  while (!signal.aborted) {
    let sleepMs = LOOK_EVERY_MS;
    async function look(): Promise<void> {
      const nextMs = await rotation.next(Date.now(), signal);
      sleepMs = Math.max(REST_MS, Math.min(LOOK_EVERY_MS, nextMs - Date.now()));
    }
    await attempt(loops, 'backups not verified', look, signal);
    await pause.sleep(sleepMs, signal);
  }
}

/** A verifier that rests while a run waits in this queue or is under way. */
export function verifier(
  { app: { context, ...loaded }, log }: Pick<Loops, 'app' | 'log'>,
  queue: Pick<RunQueue, 'idle'>,
): Verifier {
  const notBefore = new Map<string, number>();
  const { destinations } = context;
  const app = { ...loaded, context, turn: () => queue.idle() };
  return {
    async next(nowMs, signal) {
      await queue.idle();
      signal.throwIfAborted();
      return doNext({ app, log, destinations, notBefore, nowMs }, signal);
    },
  };
}

/** What is damaged comes first, then what was not read for longest, then the copies. */
async function doNext(verifying: Verifying, signal: AbortSignal): Promise<number> {
  const { nowMs, app, destinations, notBefore } = verifying;
  const { catalog } = app.context;
  const entries = await catalog.all();
  const found = await damagedBackups(app.context);
  const damaged = found.find((backup) => mayTry(verifying, healKey(backup)));
  if (damaged !== undefined) {
    await heal(damaged, entries, verifying, signal);
    return nowMs;
  }
  const readable = entries.filter(({ manifest }) => mayTry(verifying, readKey(manifest)));
  const reading = nextReading(readable, nowMs);
  if (reading !== null && reading.dueMs <= nowMs) {
    await readBack(reading, verifying, signal);
    return nowMs;
  }
  let nextMs = reading?.dueMs ?? Infinity;
  for (const configured of destinations) {
    const { name } = configured.settings;
    const samples = nextSamples(entries, name, nowMs);
    const dueMs = Math.max(samples[0]?.dueMs ?? Infinity, notBefore.get(name) ?? 0);
    if (dueMs <= nowMs) {
      await sample(samples, configured, verifying, signal);
      return nowMs;
    }
    nextMs = Math.min(nextMs, dueMs);
  }
  return nextMs;
}

function readKey({ source, id }: BackupRef): string {
  return `read ${source}/${id}`;
}

function healKey({ source, id }: BackupRef): string {
  return `mend ${source}/${id}`;
}

/** What is seen at a glance need not be read to be written down, whatever becomes of it. */
async function noteGlance(
  damaged: BackupRef,
  entries: readonly CatalogEntry[],
  { context }: VerifyApp,
): Promise<void> {
  const unread = entries.find((entry) => isOf(entry, damaged) && !isDamaged(entry));
  const message = unread === undefined ? null : await context.catalog.wrongFile(unread);
  if (message === null) {
    return;
  }
  const { source, id } = damaged;
  try {
    await recordStored(damaged, message, context);
  } catch (error) {
    // Retention was quicker.
    if (toFailure(error).code === 'backup-not-found') {
      return;
    }
    throw error;
  }
  const failure = { code: 'archive-corrupt', message: `${id}: ${message}`, hint: null } as const;
  context.emit({ type: 'verified', source, id, failure });
}

function isOf({ manifest }: CatalogEntry, { source, id }: BackupRef): boolean {
  return manifest.source === source && manifest.id === id;
}

function mayTry({ notBefore, nowMs }: Verifying, key: string): boolean {
  return (notBefore.get(key) ?? 0) <= nowMs;
}

async function readBack(
  { entry, reason }: NextReading,
  verifying: Verifying,
  signal: AbortSignal,
): Promise<void> {
  const { app, log, notBefore, nowMs } = verifying;
  const { source, id } = entry.manifest;
  log.debug({ source, id, reason }, 'backup is read back');
  const request = { source: null, id: `${source}/${id}` };
  const [verification] = await verifyBackups(request, app, signal);
  const code = verification?.failure?.code ?? null;
  if (code !== null && code !== 'archive-corrupt') {
    // Nothing was learnt of it, nor written down: the others have their turn first.
    notBefore.set(readKey(entry.manifest), nowMs + AGAIN_MS);
  }
}

const NOT_MENDED: Readonly<Record<Healing, string>> = {
  mended: 'what a copy made of it is not whole either',
  'no-copy': 'no destination has a whole copy of it',
  'not-asked': 'a destination could not be asked, and no other has a whole copy of it',
  archived: 'its copy is in an archive, and has to be asked back: a restore of it does that',
  'nothing-to-mend': 'it is stored as it was written, so that its copies are no better',
};

async function heal(
  backup: BackupRef,
  entries: readonly CatalogEntry[],
  { app, log, notBefore, nowMs }: Verifying,
  signal: AbortSignal,
): Promise<void> {
  const { source, id } = backup;
  const isFirst = !notBefore.has(healKey(backup));
  notBefore.set(healKey(backup), nowMs + AGAIN_MS);
  try {
    await noteGlance(backup, entries, app);
    const healing = await healBackup(backup, app, signal);
    if (healing === 'no-copy' || healing === 'nothing-to-mend') {
      notBefore.set(healKey(backup), nowMs + SELDOM_MS);
    }
    const isWhole = await isSeenWhole(backup, healing, app, signal);
    if (!isWhole && isFirst) {
      log.warn({ source, id, reason: NOT_MENDED[healing] }, 'damaged backup not mended');
    }
  } catch (error) {
    signal.throwIfAborted();
    if (toFailure(error).code === 'locked') {
      notBefore.set(healKey(backup), nowMs + LOOK_EVERY_MS);
    }
    log.error({ source, id, ...troubleFields(error) }, 'damaged backup not mended');
  }
}

/** What is stored as it was written may have been mended by somebody else since: reading it tells. */
async function isSeenWhole(
  { source, id }: BackupRef,
  healing: Healing,
  app: VerifyApp,
  signal: AbortSignal,
): Promise<boolean> {
  if (healing !== 'mended' && healing !== 'nothing-to-mend') {
    return false;
  }
  const [read] = await verifyBackups({ source: null, id: `${source}/${id}` }, app, signal);
  return read?.ok === true && (healing === 'mended' || read.depth === 'content');
}

async function sample(
  samples: readonly NextReading[],
  configured: ConfiguredDestination,
  { app, log, notBefore, nowMs }: Verifying,
  signal: AbortSignal,
): Promise<void> {
  const destination = configured.settings.name;
  notBefore.set(destination, nowMs + AGAIN_MS);
  try {
    const candidates = samples.map(({ entry }) => entry);
    const verification = await sampleCopy(candidates, configured, app, signal);
    if (verification === null) {
      const reason = 'those that are small enough are all archived, or not there';
      log.info({ destination, copies: samples.length, reason }, 'copy not verified');
      notBefore.set(destination, nowMs + SELDOM_MS);
      return;
    }
    const { source, id, failure } = verification;
    if (failure?.code === 'archive-corrupt') {
      const { message } = failure;
      app.context.emit({ type: 'copy-lost', source, destination, id, message });
    } else if (failure === null) {
      log.info({ source, id, destination }, 'copy verified');
    } else {
      log.warn({ source, id, destination, ...failureFields(failure) }, 'copy not verified');
    }
  } catch (error) {
    signal.throwIfAborted();
    log.warn({ destination, ...troubleFields(error) }, 'copy not verified');
  }
}
