import type { RunEvent } from '../core/events.ts';

/** Clears up sources after those that died, each apart from the others: a target that hangs holds up no other. */
export interface Clearing {
  /** Whether that was done, or tried, since this life began. */
  isCleared(source: string): boolean;
  /** Begins to, unless that is being done, or was tried a moment ago. */
  clear(source: string, work: ClearUp): void;
  /** Resolves when nothing is being cleared any more. */
  idle(): Promise<void>;
}

/** Never throws; resolves with why it could not be done, or null. */
export type ClearUp = (signal: AbortSignal) => Promise<string | null>;

export interface ClearingOptions {
  readonly emit: (event: RunEvent) => void;
  /** Told of a source that was cleared for the first time. */
  readonly onFirst: () => void;
  /** How long to leave a source alone that was cleared, or could not be. */
  readonly everyMs: number;
}

/** What takes longer is left to the next run of the source, which clears up as well. */
const TIMEOUT_MS = 120_000;

export function clearing(
  { emit, onFirst, everyMs }: ClearingOptions,
  signal: AbortSignal,
): Clearing {
  /** When a source was cleared, or that was tried, last. */
  const clearedAtMs = new Map<string, number>();
  /** Why a source could not be cleared up, as it was told last. */
  const postponed = new Map<string, string>();
  const running = new Map<string, Promise<void>>();

  async function run(source: string, work: ClearUp): Promise<void> {
    const reason = await work(AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]));
    if (reason === null) {
      postponed.delete(source);
    } else if (reason !== postponed.get(source)) {
      postponed.set(source, reason);
      emit({ type: 'recovery-postponed', source, reason });
    }
    const isFirst = !clearedAtMs.has(source);
    clearedAtMs.set(source, performance.now());
    running.delete(source);
    if (isFirst) {
      onFirst();
    }
  }

  return {
    isCleared: (source) => clearedAtMs.has(source),
    clear(source, work) {
      const atMs = clearedAtMs.get(source) ?? -Infinity;
      if (!running.has(source) && performance.now() - atMs >= everyMs) {
        running.set(source, run(source, work));
      }
    },
    async idle() {
      await Promise.all(running.values());
    },
  };
}
