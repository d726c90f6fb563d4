import { openSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import type { Emit } from '../core/events.ts';
import type { Settings } from '../core/settings.ts';
import { logEvents, logger, type LogSink } from '../listeners/log.ts';
import { failureOf } from './failure-text.ts';

/** Tells the log of the daemon's container what a command beside it does: whoever ran it may have lost the terminal. */
export interface CommandLog {
  readonly emit: Emit;
  done(exitCode: number): void;
  failed(thrown: unknown, stopping: AbortSignal): void;
}

/** Null where this process is no command beside a daemon: then what it says is all there is of a log. */
export function commandLog(
  settings: Pick<Settings, 'logLevel' | 'logFormat'>,
  command: string,
): CommandLog | null {
  const sink = logOfDaemon();
  if (sink === null) {
    return null;
  }
  const log = logger(settings, sink);
  return {
    emit: logEvents(log),
    done(exitCode) {
      log[exitCode === 0 ? 'info' : 'error']({ command, exitCode }, 'command done');
    },
    failed(thrown, stopping) {
      const { code, message: error, hint } = failureOf(thrown, stopping);
      log.error({ command, code, error, hint }, 'command failed');
    },
  };
}

/** Where the first process of this container writes its log, if that is backupd and not what we write to ourselves. */
function logOfDaemon(): LogSink | null {
  try {
    const words = readFileSync('/proc/1/cmdline', 'utf8').split('\0');
    const isOwn = readlinkSync('/proc/1/fd/2') === readlinkSync('/proc/self/fd/2');
    if (isOwn || !words.some((word) => basename(word) === 'backupd')) {
      return null;
    }
    const file = openSync('/proc/1/fd/2', 'a');
    return { write: (text) => writeSync(file, text) };
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['EACCES', 'EPERM', 'ENOENT', 'ENXIO'].includes(code)) {
      throw error;
    }
    // No /proc, or another user's process: then only who ran the command is told.
    return null;
  }
}
