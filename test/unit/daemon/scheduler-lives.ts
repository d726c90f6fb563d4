import type { FailureCode } from '../../../src/core/errors.ts';
import type { Outcome } from '../../../src/core/events.ts';
import { formatBackupId } from '../../../src/core/layout.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import type { ScheduledRun } from '../../../src/daemon/occurrences.ts';
import { runQueue } from '../../../src/daemon/queue.ts';
import { scheduler, type Scheduler } from '../../../src/daemon/scheduler.ts';
import type { BoundSource } from '../../../src/jobs/context.ts';
import { recordAttempt } from '../../../src/store/attempts.ts';
import { boundSource } from '../cli/paper-source.ts';
import type { FakeApp } from '../cli/support.ts';

/** One life of the daemon's scheduler, on the directory that the lives share. */
export interface Life {
  readonly schedules: Scheduler;
  /** Every run that began: `db first`. */
  readonly runs: string[];
  readonly troubles: string[];
  /** Follows what the world has now and offers what is due; resolves when the runs ended that may end. */
  at(instant: string): Promise<readonly string[]>;
  /** Resolves when all that was offered has ended. */
  idle(): Promise<void>;
  /** Takes nothing more and cuts off what runs; resolves when that has ended. */
  stop(): Promise<void>;
}

export interface LifeOptions {
  /** How runs end; a promise holds them. */
  readonly outcome?: () => Outcome | Promise<Outcome>;
  /** Of those that fail. */
  readonly code?: FailureCode;
  readonly concurrency?: number;
  readonly waitForRuns?: boolean;
  /** How many runs may wait. */
  readonly capacity?: number;
}

export function startLife(world: FakeApp, options: LifeOptions = {}): Life {
  const { outcome = () => 'success', concurrency = 1, waitForRuns = true, capacity = 10 } = options;
  const stopping = new AbortController();
  const queue = runQueue({ concurrency, capacity });
  const runs: string[] = [];
  const troubles: string[] = [];

  let nowMs = 0;

  /** What fails is recorded as a run records it. */
  async function backUp({ bound, trigger, tryAgain }: ScheduledRun): Promise<{ outcome: Outcome }> {
    const { source } = bound.job;
    runs.push(`${source} ${trigger}`);
    const ended = await outcome();
    if (ended === 'failed') {
      const at = new Date(nowMs).toISOString();
      const failure = { code: options.code ?? 'dump-failed', message: 'it failed', hint: null };
      const attempt = { at, finishedAt: at, outcome: ended, trigger, id: null, failure };
      const { dir } = world.app.context.storage;
      await recordAttempt(dir, source, { ...attempt, retryAt: tryAgain(failure) });
    }
    return { outcome: ended };
  }

  const schedules = scheduler(
    {
      app: world.app,
      queue,
      backUp,
      now: () => nowMs,
      onTrouble: (message, { error }) => {
        troubles.push(`${message}: ${String(error)}`);
      },
    },
    stopping.signal,
  );
  return {
    schedules,
    runs,
    troubles,
    async at(instant) {
      const before = runs.length;
      nowMs = Date.parse(instant);
      await schedules.follow(world.discovery, Date.parse(instant));
      await schedules.tick(Date.parse(instant));
      if (waitForRuns) {
        await queue.idle();
      }
      return runs.slice(before);
    },
    idle: () => queue.idle(),
    async stop() {
      queue.close();
      stopping.abort();
      await queue.idle();
    },
  };
}

export function source(name: string, patterns: readonly string[] = ['0 2 * * *']): BoundSource {
  const { job, ...bound } = boundSource(name);
  return { ...bound, job: { ...job, schedule: { ...job.schedule, patterns } } };
}

/** Puts a good backup that began at this instant into the catalog. */
export async function addBackup(
  world: FakeApp,
  name: string,
  startedAt: string,
  change: Partial<Manifest> = {},
): Promise<Manifest> {
  const id = formatBackupId({ startedAt: new Date(startedAt), kind: 'full', suffix: '0000' });
  return world.add({ id, source: name, startedAt, finishedAt: startedAt, ...change });
}
