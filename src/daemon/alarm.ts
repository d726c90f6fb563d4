/** A sleep that can be cut short. */
export interface Alarm {
  /** Resolves after this time, or earlier when it rings or the signal aborts; never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Wakes the sleeper; where nobody sleeps now, the next sleep is over at once. */
  ring(): void;
}

/** An alarm for one sleeper. */
export function alarm(): Alarm {
  let ringing = Promise.withResolvers<undefined>();
  return {
    async sleep(ms, signal) {
      const over = Promise.withResolvers<undefined>();
      function wake(): void {
        over.resolve(undefined);
      }
      const timer = setTimeout(wake, ms);
      signal.addEventListener('abort', wake);
      if (signal.aborted) {
        wake();
      }
      await Promise.race([over.promise, ringing.promise]);
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      ringing = Promise.withResolvers<undefined>();
    },
    ring() {
      ringing.resolve(undefined);
    },
  };
}
