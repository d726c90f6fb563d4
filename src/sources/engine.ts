import type Docker from 'dockerode';
import type { Job } from '../core/job.ts';
import type { Source, StreamReader } from '../core/source.ts';
import type { Engine, TargetRef } from '../core/target.ts';
import type { ScratchRecipe } from './scratch-recipe.ts';

/** What a source is made of. */
export interface SourceOptions {
  readonly docker: Docker;
  readonly job: Job;
  /** `<identity>/<source>/`: marks everything this `/backups` starts for this source. */
  readonly runPrefix: string;
  readonly locate: (signal: AbortSignal) => Promise<TargetRef>;
  readonly refind: (at: TargetRef, signal: AbortSignal) => Promise<TargetRef | null>;
  /** The image for containers of our own, which is there. @throws BackupdError `target-unavailable` */
  readonly helperImage: (signal: AbortSignal) => Promise<string>;
}

/** What an engine can do: it is backed up, and what was backed up of it is read. */
export interface EngineModule {
  source(options: SourceOptions): Source;
  /** Needs no server, so that a backup can be checked anywhere. @throws BackupdError `format-unsupported` */
  reader(format: string): StreamReader;
  /** How a drill starts it; null for what is no server. */
  readonly scratch: ScratchRecipe | null;
}

/** What an engine is to everything else: how it is recognised, and where the rest of it is. */
export interface EngineDefinition {
  readonly engine: Engine;
  /** Words in the name of an image that tell it; null where none does. */
  readonly images: RegExp | null;
  /** Variables that only its images have. */
  readonly variables: readonly string[];
  /** The tools of which a dump needs one. */
  readonly tools: readonly string[];
  /** Only where it is needed: who backs up one engine need not keep the others in memory. */
  load(): Promise<EngineModule>;
}
