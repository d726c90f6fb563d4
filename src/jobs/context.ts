import type { Channel } from '../core/channel.ts';
import type { DestinationSettings } from '../core/destination-settings.ts';
import type { Destination } from '../core/destination.ts';
import type { ConfigProblem } from '../core/discovery.ts';
import type { Keys } from '../core/encryption.ts';
import type { Emit } from '../core/events.ts';
import type { Failure } from '../core/errors.ts';
import type { Neighbours } from '../core/halts.ts';
import type { Inspection } from '../core/inspection.ts';
import type { Job } from '../core/job.ts';
import type { ManifestSummary } from '../core/manifest.ts';
import type { OptionInForce, Settings } from '../core/settings.ts';
import type { Scratches } from '../core/scratch.ts';
import type { Source, StreamReader } from '../core/source.ts';
import type { Engine } from '../core/target.ts';
import type { Catalog } from '../store/catalog.ts';
import type { Storage } from '../store/storage.ts';

/** A place for copies as it is configured. */
export interface ConfiguredDestination {
  readonly settings: DestinationSettings;
  /**
   * The place itself; asks nobody yet, and loads what speaks to it the first time. Anew each time: what it once learnt of
   * the place, and keys that files have, may be others by now.
   */
  open(): Promise<Destination>;
}

/** What every job works with. */
export interface JobContext {
  readonly storage: Storage;
  readonly catalog: Catalog;
  readonly destinations: readonly ConfiguredDestination[];
  readonly neighbours: Neighbours;
  readonly keys: Keys;
  readonly emit: Emit;
  readonly backupdVersion: string;
  /** For lock files: what a person would call this process: `daemon`, `backup db`. */
  readonly command: string;
}

/** A configured source whose target was seen, ready to run. */
export interface BoundSource {
  readonly job: Job;
  readonly source: Source;
  /** Every option of the source, for `backupd config`. */
  readonly options: readonly OptionInForce[];
}

/** What one look at configuration and containers found. */
export interface Discovery {
  readonly sources: readonly BoundSource[];
  readonly problems: readonly ConfigProblem[];
  /** Why Docker could not be asked; null where it answered. Sources are then those that need no discovery. */
  readonly docker: Failure | null;
}

/** What commands and daemon are given: everything they may do, and nothing of how it is done. */
export interface App {
  readonly settings: Settings;
  readonly options: readonly OptionInForce[];
  /** Problems of the configuration itself, before any container was looked at. */
  readonly problems: readonly ConfigProblem[];
  readonly context: JobContext;
  /** Why the directory cannot be used, in an app that was opened to report; null otherwise. Its catalog is empty then. */
  readonly storageFailure: Failure | null;
  /** Lists containers now; remembers every source it saw for the time when it is gone. */
  discover(signal: AbortSignal): Promise<Discovery>;
  /** Binds the engine of a backup to a container that need not be a configured source; null: the source's own. */
  bind(
    backup: Pick<ManifestSummary, 'source' | 'engine' | 'target'>,
    into: string | null,
    signal: AbortSignal,
  ): Promise<BoundSource>;
  /** The ways in which people are told; sends nothing yet. */
  openChannels(): Promise<readonly Channel[]>;
  /** Throw-away targets, for drills. */
  readonly scratches: Scratches;
  /** The reader of a format; needs no server. */
  reader(engine: Engine, format: string): Promise<StreamReader>;
  readonly inspection: Inspection;
  /** @throws BackupdError `target-unavailable` where Docker cannot be asked. */
  ping(signal: AbortSignal): Promise<{ readonly engineVersion: string }>;
}
