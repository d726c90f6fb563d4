import type { LogSink } from '../listeners/log.ts';

/** What the daemon has of the process it runs in. */
export interface Host {
  readonly log: LogSink;
  /** Calls back at every SIGTERM and SIGINT. */
  onStop(listener: (signal: string) => void): void;
  /** Calls back at what nobody caught: a bug. */
  onFault(listener: (error: unknown) => void): void;
}

/** This process. From now on no signal and no fault ends it by itself. */
export function processHost(): Host {
  return {
    log: process.stderr,
    onStop(listener) {
      process.on('SIGTERM', listener);
      process.on('SIGINT', listener);
    },
    onFault(listener) {
      process.on('uncaughtException', listener);
      process.on('unhandledRejection', listener);
    },
  };
}
