/** What became of an offer; `busy`: the same source waits or runs already. */
type Offer = 'accepted' | 'busy' | 'full' | 'closed';

/** Runs waiting and running: a fixed number at once, never two of one source, in the order they were offered. */
export interface RunQueue {
  /**
   * Takes work for a source, or says why not; never waits.
   * @param work never rejects: whoever offers it reports how it ended
   */
  offer(source: string, work: () => Promise<void>): Offer;
  /** Takes nothing more and drops what did not begin. */
  close(): void;
  /** Resolves when nothing waits and nothing runs. */
  idle(): Promise<void>;
}

export interface QueueOptions {
  /** Runs at once. */
  readonly concurrency: number;
  /** Offers that may wait. */
  readonly capacity: number;
}

/** An empty queue. */
export function runQueue({ concurrency, capacity }: QueueOptions): RunQueue {
  const waiting = new Map<string, () => Promise<void>>();
  const running = new Set<string>();
  const idlers: (() => void)[] = [];
  let closed = false;

  function startNext(): void {
    const [next] = waiting;
    if (next === undefined || running.size >= concurrency) {
      if (waiting.size === 0 && running.size === 0) {
        for (const resolve of idlers.splice(0)) {
          resolve();
        }
      }
      return;
    }
    const [source, work] = next;
    waiting.delete(source);
    running.add(source);
    void settle(source, work);
    startNext();
  }

  async function settle(source: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } finally {
      running.delete(source);
      startNext();
    }
  }

  return {
    offer(source, work) {
      if (closed) {
        return 'closed';
      }
      if (waiting.has(source) || running.has(source)) {
        return 'busy';
      }
      if (waiting.size >= capacity) {
        return 'full';
      }
      waiting.set(source, work);
      startNext();
      return 'accepted';
    },
    close() {
      closed = true;
      waiting.clear();
    },
    async idle() {
      if (waiting.size > 0 || running.size > 0) {
        await new Promise<void>((resolve) => {
          idlers.push(resolve);
        });
      }
    },
  };
}
