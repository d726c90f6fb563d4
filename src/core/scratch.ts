import type { DrillCheck } from './drill.ts';
import type { BackupdError } from './errors.ts';
import type { Job } from './job.ts';
import type { Manifest } from './manifest.ts';
import type { Source } from './source.ts';
import type { TargetRef } from './target.ts';

export interface ScratchRequest {
  /** Of the backup that is to be restored. */
  readonly manifest: Manifest;
  /** The source that it is of, as it is configured now. */
  readonly job: Job;
}

/** A throw-away container, or volume, that answers; it is a target like another one. */
export interface Scratch {
  readonly source: Source;
  readonly target: TargetRef;
  /** What is not as it was when the backup was made. */
  readonly notes: readonly string[];
  /**
   * Why it is of no use any more: CannotDrill where that is no fault of the backup, such as too little memory; `restore-failed`
   * where its server ended by itself. Null where it is as it should be.
   * @throws BackupdError `target-unavailable` where Docker cannot be asked
   */
  explain(signal: AbortSignal): Promise<BackupdError | null>;
  /** The first value that a statement gives, or the end of what a command printed. @throws BackupdError where it fails */
  ask(
    check: DrillCheck,
    signal: AbortSignal,
  ): Promise<{ readonly ok: boolean; readonly found: string }>;
}

/** Makes throw-away targets. Whoever asks holds the lock of the source's drills, so each source has one at a time. */
export interface Scratches {
  /**
   * Makes one and waits until it answers. The caller removes it with `sweep`, also where this fails.
   * @throws CannotDrill where it cannot be tried here; BackupdError `restore-failed` where it does not come up
   */
  open(request: ScratchRequest, signal: AbortSignal): Promise<Scratch>;
  /** Removes whatever is left of this source's. @returns how many containers and volumes that were */
  sweep(source: string, signal: AbortSignal): Promise<number>;
  /** Sources of this `/backups` of which something is there, in use or left. */
  left(signal: AbortSignal): Promise<readonly string[]>;
}
