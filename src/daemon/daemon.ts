import type { Logger } from 'pino';
import { FAILURES } from '../core/errors.ts';
import type { App } from '../jobs/context.ts';
import { logEvents, logger } from '../listeners/log.ts';
import { metrics } from '../listeners/metrics.ts';
import { acquireDaemonLock } from '../store/lock.ts';
import { alarm } from './alarm.ts';
import { keepAlarms } from './alarms.ts';
import { keepDrills } from './drills.ts';
import { processHost, type Host } from './host.ts';
import { serveHttp, type HttpServer } from './http.ts';
import { NOTHING_SEEN } from './look.ts';
import { followSources, keepSchedules, type Loops } from './loops.ts';
import { runQueue, type RunQueue } from './queue.ts';
import { daemonRoutes } from './routes.ts';
import { backUpOnSchedule } from './scheduled-backup.ts';
import type { SchedulerOptions } from './occurrences.ts';
import { scheduler } from './scheduler.ts';
import { troubleFields } from './trouble.ts';
import { keepUploads } from './uploads.ts';
import { keepVerifying } from './verifications.ts';

/** Docker gives a container ten seconds to stop; the last one is for what comes after the runs. */
const STOP_WITHIN_MS = 9000;
/** Runs that may wait; more than anybody has sources. */
const QUEUE_CAPACITY = 1000;

/**
 * Runs until it is told to stop: the first SIGTERM or SIGINT takes no more work, cancels what runs and waits for it, a
 * second one ends at once. By itself it stops where it has a bug, or lost the directory to another daemon.
 * @returns the exit code, with which the caller ends the process
 * @throws BackupdError `locked` where another daemon has the directory, `config-invalid` where the port is taken
 */
export async function runDaemon(app: App, host: Host = processHost()): Promise<number> {
  const log = logger(app.settings, host.log);
  const impatient = Promise.withResolvers<number>();
  const stopping = new AbortController();
  let isFaulty = false;
  host.onStop((name) => {
    if (stopping.signal.aborted) {
      log.warn({ signal: name }, 'told to stop again, ending at once');
      impatient.resolve(FAILURES.cancelled.exitCode);
    } else {
      log.info({ signal: name }, 'told to stop');
      stopping.abort();
    }
  });
  host.onFault((error) => {
    log.fatal({ err: error }, 'stopping because of a bug in backupd, please report it');
    isFaulty = true;
    stopping.abort();
  });

  async function serveToTheEnd(): Promise<number> {
    const context = { ...app.context, emit: logEvents(log) };
    const exitCode = await serve({ ...app, context }, log, stopping);
    return isFaulty ? FAILURES.internal.exitCode : exitCode;
  }
  return Promise.race([serveToTheEnd(), impatient.promise]);
}

/** Does the work until the controller aborts, or it aborts that itself. @returns the exit code */
async function serve(app: App, log: Logger, stopping: AbortController): Promise<number> {
  const { signal } = stopping;
  const { storage, backupdVersion, command } = app.context;
  await using lock = await acquireDaemonLock(storage.dir, { command, waitMs: 0 }, signal);
  lock.lost.addEventListener('abort', () => {
    log.error('another daemon took over the directory');
    stopping.abort();
  });
  const queue = runQueue({ concurrency: app.settings.concurrency, capacity: QUEUE_CAPACITY });
  const loops = assemble({ app, queue, log, watches: lock.watches }, signal);
  await using http = await openHttp(loops);
  log.info(
    {
      version: backupdVersion,
      namespace: storage.namespace,
      directory: storage.dir,
      httpPort: http?.port ?? null,
    },
    'daemon started',
  );
  const running = [
    followSources(loops, signal),
    keepSchedules(loops, signal),
    keepUploads(loops, signal),
    keepVerifying(loops, queue, signal),
    keepAlarms(loops, signal),
    keepDrills(loops, signal),
  ];
  await aborted(signal);
  queue.close();
  const isDone = await within(STOP_WITHIN_MS, Promise.all([...running, queue.idle()]));
  log[isDone ? 'info' : 'error']({ allRunsEnded: isDone }, 'daemon stopped');
  return lock.lost.aborted ? FAILURES.locked.exitCode : 0;
}

interface Parts extends Pick<Loops, 'app' | 'log' | 'watches'> {
  readonly queue: RunQueue;
}

function assemble({ app, queue, log, watches }: Parts, signal: AbortSignal): Loops {
  const options: SchedulerOptions = {
    app,
    queue,
    backUp: (run, signal) => backUpOnSchedule({ ...run, context: app.context, log }, signal),
    now: () => Date.now(),
    onTrouble: (message, facts) => {
      log.error(facts, message);
    },
  };
  return {
    app,
    log,
    scheduler: scheduler(options, signal),
    wake: alarm(),
    watches,
    seen: NOTHING_SEEN,
  };
}

async function openHttp(loops: Loops): Promise<HttpServer | null> {
  const { app, log } = loops;
  const { httpPort: port } = app.settings;
  if (port === null) {
    return null;
  }
  return serveHttp({
    port,
    routes: daemonRoutes(app, metrics(app.context.backupdVersion), () => loops.seen),
    onError: (path, error) => {
      log.error({ path, ...troubleFields(error) }, 'request not answered');
    },
  });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
  }
}

/** Whether the work ended in time. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => {
    resolve(false);
  }, ms);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
