/** Watches for a process that has stopped saying anything. */
export interface SilenceGuard {
  /** A sign of life. */
  readonly heard: () => void;
  readonly stop: () => void;
}

export interface SilenceOptions {
  /** Whether it is not the process that is slow but who reads from it. */
  readonly isHeldUp: () => boolean;
  /** Called once, when nothing was heard for so long; at the latest after twice that time. */
  readonly onSilent: () => void;
}

/** @param idleMs how long silence is tolerated; 0: for ever */
export function silenceGuard(idleMs: number, options: SilenceOptions): SilenceGuard {
  if (idleMs === 0) {
    return { heard() {}, stop() {} };
  }
  let heardAt = performance.now();
  let timer = setTimeout(look, idleMs);

  function look(): void {
    const now = performance.now();
    if (options.isHeldUp()) {
      heardAt = now;
    }
    const leftMs = heardAt + idleMs - now;
    if (leftMs > 0) {
      timer = setTimeout(look, leftMs);
    } else {
      options.onSilent();
    }
  }

  return {
    heard() {
      heardAt = performance.now();
    },
    stop() {
      clearTimeout(timer);
    },
  };
}
