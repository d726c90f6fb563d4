import { setTimeout as delay } from 'node:timers/promises';
import type { ObjectFacts, RetrievalTier } from '../core/destination.ts';
import { formatDuration } from '../core/duration.ts';
import { BackupdError } from '../core/errors.ts';
import { versionsOf } from '../store/remote-catalog.ts';
import type { JobContext } from './context.ts';
import type { Copy } from './find-copy.ts';

export interface BringBackRequest {
  readonly tier: RetrievalTier;
  /** How long their return is waited for; 0: not at all. */
  readonly waitMs: number;
}

/** For how long what came back can be read: a restore that failed on a Friday is begun again on a Monday. */
const DAYS = 7;
const FIRST_LOOK_MS = 5000;
const LOOK_MS = 60_000;

/** How long AWS says that it takes, by class and tier. */
const TAKES: Readonly<Record<string, Readonly<Partial<Record<RetrievalTier, string>>>>> = {
  GLACIER: {
    expedited: '1 to 5 minutes',
    standard: '3 to 5 hours',
    bulk: '5 to 12 hours',
  },
  DEEP_ARCHIVE: {
    standard: 'up to 12 hours',
    bulk: 'up to 48 hours',
  },
};

/** The files of a copy that cannot be read before they were asked back, or are on their way. @throws BackupdError */
export async function findArchived(
  copy: Copy,
  signal: AbortSignal,
): Promise<readonly ObjectFacts[]> {
  return Array.fromAsync(eachArchived(copy, signal));
}

/** Whether there is such a file; asks no further than the first. @throws BackupdError */
export async function isArchived(copy: Copy, signal: AbortSignal): Promise<boolean> {
  const { done = false } = await eachArchived(copy, signal).next();
  return !done;
}

async function* eachArchived(
  { destination, entry, manifest }: Copy,
  signal: AbortSignal,
): AsyncGenerator<ObjectFacts> {
  for (const file of manifest.files) {
    const [version] = versionsOf(entry, file);
    const facts =
      version === undefined ? null : await destination.head(version.key, version.versionId, signal);
    if (facts !== null && facts.retrieval !== 'readable') {
      yield facts;
    }
  }
}

/**
 * Sees to it that all files of a copy can be read: asks for those that are archived, and waits for them.
 * @throws BackupdError `retrieval-pending` where that takes longer than is waited; the same call goes on with it
 */
export async function bringBack(
  copy: Copy,
  { tier, waitMs }: BringBackRequest,
  { emit }: Pick<JobContext, 'emit'>,
  signal: AbortSignal,
): Promise<void> {
  const deadlineMs = performance.now() + waitMs;
  let pauseMs = FIRST_LOOK_MS;
  for (;;) {
    const archived = await findArchived(copy, signal);
    const pending: ObjectFacts[] = [];
    for (const facts of archived) {
      const isOnItsWay =
        facts.retrieval === 'returning' ||
        (await copy.destination.retrieve(facts, { tier, days: DAYS }, signal)) === 'returning';
      if (isOnItsWay) {
        pending.push(facts);
      }
    }
    if (pending.length === 0) {
      return;
    }
    const leftMs = deadlineMs - performance.now();
    // Timers count whole milliseconds.
    if (leftMs < 1) {
      throw pendingError(copy, pending, tier);
    }
    const { source, id } = copy.manifest;
    emit({ type: 'retrieval-awaited', source, id, message: describePending(copy, pending, tier) });
    await pause(Math.min(pauseMs, Math.ceil(leftMs)), signal);
    pauseMs = Math.min(pauseMs * 2, LOOK_MS);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** `2 files of ... are on their way out of the archive (GLACIER) of s3, which takes 3 to 5 hours`. */
export function describePending(
  { destination, manifest }: Copy,
  pending: readonly ObjectFacts[],
  tier: RetrievalTier,
): string {
  const storageClass = pending[0]?.storageClass ?? null;
  const takes = TAKES[storageClass ?? '']?.[tier];
  const files = pending.length === 1 ? '1 file' : `${pending.length} files`;
  const from = storageClass === null ? 'an archive' : storageClass;
  return `${files} of ${manifest.id} at ${destination.name} must come back from ${from} first${takes === undefined ? '' : `, which takes ${takes} (${tier})`}`;
}

function pendingError(
  copy: Copy,
  pending: readonly ObjectFacts[],
  tier: RetrievalTier,
): BackupdError {
  return new BackupdError('retrieval-pending', describePending(copy, pending, tier), {
    hint: `They were asked for. Run the same command again then: what came back can be read for ${formatDuration(DAYS * 86_400_000)}. With --wait 12h it waits for them by itself.`,
  });
}
