import { setTimeout as delay } from 'node:timers/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { STATE_FOLDER } from '../core/layout.ts';
import { hasErrorCode } from '../core/system-error.ts';
import { ensureFolder } from './atomic-file.ts';
import {
  claimLock,
  isSuperseded,
  listLocks,
  lockPath,
  lockPlace,
  lookAtLock,
  releaseLock,
  rewriteLock,
  touchLock,
  type LockHolder,
  type LockPlace,
  type LockRun,
  type Sighting,
} from './lock-file.ts';
import { BEAT_MS, LOOK_MS, STALE_MS, judgeWatch, watchOn, type Watch } from './lock-watch.ts';
import { isRunning, readOwnIdentity, type ProcessIdentity } from './process-identity.ts';
import { onStorage, storageError } from './storage-error.ts';

export type { LockHolder } from './lock-file.ts';

export interface LockRequest {
  /** What a person would call this process: `daemon`, `backup db`. */
  readonly command: string;
  /** How long to wait for a holder that lives; 0: not at all. */
  readonly waitMs: number;
  readonly run?: LockRun;
  /** What was seen of this lock before, by who waited for another one. */
  readonly watches?: LockWatches;
}

/** What was seen so far of locks, by their stems. */
export type LockWatches = ReadonlyMap<string, Watch>;

/** A lock that is held until it is disposed, or until the process dies. */
export interface Lock extends AsyncDisposable {
  /** Aborts where somebody else took the lock: we were silent for too long. Its reason is a `locked`. */
  readonly lost: AbortSignal;
  /** The holder that died, and from whom the lock was taken over; null where it was free. */
  readonly dead: LockHolder | null;
  /**
   * What was seen while this one was waited for. For a daemon's that is of the locks of all sources as well: where a whole
   * container died, the silence of all its processes is watched at once and not one after the other.
   */
  readonly watches: LockWatches;
  /** Writes what is running into the lock, for `status` and for the next life. */
  describe(run: LockRun): Promise<void>;
}

/**
 * Takes the lock of a source. A holder that died never blocks: one in our own container is known to be dead at once,
 * one elsewhere after six seconds without a heartbeat, even where `waitMs` is 0.
 * @throws BackupdError `locked` naming the holder, `storage-unavailable`, or the signal's reason
 */
export async function acquireLock(
  dir: string,
  source: string,
  request: LockRequest,
  signal: AbortSignal,
): Promise<Lock> {
  return acquire({ dir, kind: 'source', name: source }, request, signal);
}

/** Takes the lock that keeps a second daemon from the same directory; otherwise as {@link acquireLock}. */
export async function acquireDaemonLock(
  dir: string,
  request: LockRequest,
  signal: AbortSignal,
): Promise<Lock> {
  return acquire({ dir, kind: 'daemon', name: 'backupd' }, request, signal);
}

/** Takes the lock of whoever sends to a destination or removes there; otherwise as {@link acquireLock}. */
export async function acquireDestinationLock(
  dir: string,
  destination: string,
  request: LockRequest,
  signal: AbortSignal,
): Promise<Lock> {
  return acquire({ dir, kind: 'destination', name: destination }, request, signal);
}

/** Takes the lock of the drills of a source, beside which it is backed up as ever; otherwise as {@link acquireLock}. */
export async function acquireDrillLock(
  dir: string,
  source: string,
  request: LockRequest,
  signal: AbortSignal,
): Promise<Lock> {
  return acquire({ dir, kind: 'drill', name: source }, request, signal);
}

/**
 * Takes the lock of those that hold other containers still, which many may want at once: whoever waits is let in by the
 * one before. Otherwise as {@link acquireLock}.
 */
export async function acquireHaltLock(
  dir: string,
  request: Pick<LockRequest, 'command'>,
  signal: AbortSignal,
): Promise<Lock> {
  return acquire({ dir, kind: 'state', name: 'halted' }, { ...request, waitMs: Infinity }, signal);
}

/** Takes the lock that guards one of our own state files while it is read and written. */
export async function acquireStateLock(dir: string, name: string): Promise<Lock> {
  const request = { command: 'record', waitMs: 60_000 };
  return acquire({ dir, kind: 'state', name }, request, new AbortController().signal);
}

interface Wanted {
  readonly dir: string;
  readonly kind: 'source' | 'destination' | 'daemon' | 'drill' | 'state';
  readonly name: string;
}

async function acquire(wanted: Wanted, request: LockRequest, signal: AbortSignal): Promise<Lock> {
  const { dir, kind, name } = wanted;
  const place = lockPlace(dir, kind, name);
  await onStorage(place.folder, async () => {
    await ensureFolder(join(dir, STATE_FOLDER));
    await ensureFolder(place.folder);
  });
  const own = await readOwnIdentity();
  const deadlineMs = performance.now() + request.waitMs;
  const watches = new Map(request.watches);
  for (;;) {
    signal.throwIfAborted();
    const { seen, watch } = await watchLock(place, watches);
    const state = await judge(seen, watch, own);
    if (state === 'free' || state === 'dead') {
      const holder = describeSelf(own, request);
      const generation = await claimLock(place, seen, holder);
      if (generation !== null) {
        return heldLock({ place, generation, name, dead: seen.holder, watches }, holder);
      }
      watches.delete(place.stem);
    } else if (state === 'alive' && performance.now() >= deadlineMs) {
      throw lockedError(wanted, seen.holder);
    } else {
      const others = kind === 'daemon' ? await listLocks(dir, 'source') : [];
      for (const other of others) {
        await watchLock(other, watches);
      }
      await pause(signal);
    }
  }
}

/** Looks at a lock once more, and keeps what was seen. */
async function watchLock(
  place: LockPlace,
  watches: Map<string, Watch>,
): Promise<{ readonly seen: Sighting; readonly watch: Watch }> {
  const seen = await lookAtLock(place);
  const watch = watchOn(watches.get(place.stem) ?? null, seen.mark, performance.now());
  watches.set(place.stem, watch);
  return { seen, watch };
}

async function judge(
  seen: Sighting,
  watch: Watch,
  own: ProcessIdentity,
): Promise<'free' | 'alive' | 'dead' | 'unknown'> {
  if (!seen.held) {
    return 'free';
  }
  const running = seen.holder === null ? null : await isRunning(seen.holder, own);
  if (running === null) {
    return judgeWatch(watch);
  }
  return running ? 'alive' : 'dead';
}

function describeSelf(own: ProcessIdentity, { command, run }: LockRequest): LockHolder {
  const since = new Date().toISOString();
  return { command, ...own, hostname: hostname(), since, run: run ?? null };
}

async function pause(signal: AbortSignal): Promise<void> {
  try {
    await delay(LOOK_MS, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

function lockedError({ dir, kind, name }: Wanted, holder: LockHolder | null): BackupdError {
  const what =
    kind === 'daemon' ? `${dir} belongs to a daemon that runs already` : `"${name}" is locked`;
  const who =
    holder === null
      ? 'a process that could not say which'
      : `"${holder.command}" (pid ${holder.pid} on ${holder.hostname}, since ${holder.since})`;
  return new BackupdError('locked', `${what}: held by ${who}`, {
    hint:
      kind === 'daemon'
        ? 'Run one daemon for one directory of backups; stop the other one, or give this one its own.'
        : 'Wait until it is done, or let the command wait for it with --wait 30m.',
  });
}

interface Held {
  readonly place: LockPlace;
  readonly generation: number;
  readonly name: string;
  readonly dead: LockHolder | null;
  readonly watches: LockWatches;
}

/** Beats until it is released, also where that takes a while: a lock that a living process forgot would block for ever. */
function heldLock({ place, generation, name, dead, watches }: Held, holder: LockHolder): Lock {
  const lost = new AbortController();
  let disposed = false;
  let beatAtMs = performance.now();
  let beating: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    beating = beating.then(beat);
  }, BEAT_MS);
  timer.unref();

  function lose(reason: BackupdError): void {
    clearInterval(timer);
    lost.abort(reason);
  }

  async function beat(): Promise<void> {
    try {
      if (disposed) {
        await releaseLock(place, generation);
        clearInterval(timer);
        return;
      }
      if (await isSuperseded(place, generation)) {
        lose(takenError(name));
        return;
      }
      await touchLock(place, generation);
      beatAtMs = performance.now();
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) {
        lose(takenError(name));
      } else if (!disposed && performance.now() - beatAtMs > STALE_MS) {
        lose(silentError(name, storageError(error, lockPath(place, generation))));
      }
      // Otherwise the next beat tries again, long before anybody judges us dead.
    }
  }

  return {
    lost: lost.signal,
    dead,
    watches,
    async describe(run) {
      await onStorage(lockPath(place, generation), () =>
        rewriteLock(place, generation, { ...holder, run }),
      );
    },
    async [Symbol.asyncDispose]() {
      if (disposed || lost.signal.aborted) {
        return;
      }
      disposed = true;
      beating = beating.then(beat);
      await beating;
    },
  };
}

function takenError(name: string): BackupdError {
  return new BackupdError('locked', `the lock of "${name}" was taken over by another process`, {
    hint: 'This process was silent for too long: it was stopped, or the disk was. Run it again.',
  });
}

function silentError(name: string, cause: Error): BackupdError {
  return new BackupdError('locked', `the lock of "${name}" could not be kept: ${cause.message}`, {
    hint: 'Look at the disk: its errors kept backupd from showing that it lives.',
    cause,
  });
}
