import type { Readable } from 'node:stream';
import type { Comparison, Facts, TableFact } from './facts.ts';
import type { CommandTarget } from './halts.ts';
import type { ArchiveFile, Compression, Manifest, VolumeMaking, Warning } from './manifest.ts';

export const ENGINES = ['postgres', 'mysql', 'mariadb', 'mongodb', 'volume'] as const;
export type Engine = (typeof ENGINES)[number];

/** A container as it is now: it may have been recreated since the last run. */
export interface ContainerTarget {
  readonly containerId: string;
  readonly container: string;
  readonly image: string;
  readonly imageId: string;
  readonly repoDigests: readonly string[];
}

/** A volume, or a directory of the host. */
export interface VolumeTarget {
  /** The name as Docker knows it; for a directory its path, which begins with "/". */
  readonly volume: string;
  /** All that it takes to make it again; null for a directory. */
  readonly made: VolumeMaking | null;
  /** The container whose labels made it a source, for commands around a backup; null where none did. */
  readonly labelled: CommandTarget | null;
}

/** What a source lives in. */
export type TargetRef = ContainerTarget | VolumeTarget;

/** What people call a target. */
export function targetName(target: TargetRef): string {
  return 'volume' in target ? target.volume : target.container;
}

/** Whether both are the same target, and not just two of one name. */
export function isSameTarget(one: TargetRef, other: TargetRef): boolean {
  if ('volume' in one) {
    return 'volume' in other && one.volume === other.volume;
  }
  return 'containerId' in other && one.containerId === other.containerId;
}

/** The container that an engine of databases works in; it is never given anything else. */
export function asContainer(target: TargetRef): ContainerTarget {
  if ('volume' in target) {
    throw new Error(`"${target.volume}" is no container`);
  }
  return target;
}

/** Where commands around a backup are run; null where there is no container for them. */
export function commandTarget(target: TargetRef): CommandTarget | null {
  return 'volume' in target ? target.labelled : target;
}

/** The container that the work on a target is done in; null where that is none of those around. */
export function containerOfTarget(target: TargetRef): CommandTarget | null {
  return 'volume' in target ? null : target;
}

/** How much of the facts is taken. */
export type FactsDepth = 'exact' | 'estimate' | 'off';

/** What a run wants dumped. */
export interface DumpPlan {
  /** Marks every process and session of this run, so that they can be found and ended: `<source>/<random>`. */
  readonly run: string;
  readonly facts: FactsDepth;
  /** `zstd` with its level where the target may compress; null where backupd does it. */
  readonly compressInTarget: { readonly level: number } | null;
}

/**
 * One stream of a dump. The stream is the verdict: it ends only after its tool exited with 0, otherwise it is destroyed
 * with `dump-failed`. Who saw it end holds all that the tool wrote; whether that is a whole archive the format's reader
 * says. The consumer owns the stream.
 */
export interface DumpPart {
  /** File name without the compression's ending: `globals.sql`, `shop.dump`. */
  readonly stem: string;
  readonly format: string;
  readonly database: string | null;
  /** How the bytes are encoded already, by the target. */
  readonly encoding: Compression;
  readonly stream: Readable;
}

export interface DumpResult {
  readonly toolVersion: string;
  readonly databases: readonly string[];
  readonly facts: Facts;
  readonly engineFacts: Readonly<Record<string, unknown>>;
  readonly position: string | null;
  readonly warnings: readonly Warning[];
}

/** Holds what the dump needs while it runs (a snapshot, a stopped container); disposing it ends every process in the target. */
export interface DumpSession extends AsyncDisposable {
  /** The parts, one after the other: each must be consumed before the next is asked for. */
  parts(): AsyncIterable<DumpPart>;
  /**
   * What was learnt; called once, after the last part.
   * @param read what the readers saw in the streams, by stem
   */
  finish(read: ReadonlyMap<string, PartFacts>): Promise<DumpResult>;
}

/** What a reader learnt from a plain stream; the shape beneath is the engine's own. */
export interface PartFacts {
  /** Of what is dumped, where the stream alone tells it. */
  readonly sizeBytes?: number;
  readonly tables?: Readonly<Record<string, TableFact>>;
  readonly sequences?: Readonly<Record<string, string>>;
  readonly objects?: Readonly<Record<string, number>>;
  /** Over all that it holds. */
  readonly digest?: string;
}

/** Checks one plain stream of a format, byte by byte, without keeping it. */
export interface StreamReader {
  /** @throws BackupdError `archive-corrupt` as soon as the bytes cannot be this format. */
  push(plain: Uint8Array): void;
  /** @throws BackupdError `archive-corrupt` where the format is not whole here, or went on after its end. */
  end(): PartFacts;
}

/** Opens a file of the backup that is restored: plain, decompressed, checked to its end; a second call reads again. */
export type OpenArchive = (file: ArchiveFile, signal: AbortSignal) => Readable;

/** Stored bytes as they are, decoded alongside and checked to their end. */
export interface CompressedArchive {
  readonly stream: Readable;
  /** How many plain bytes those that the stream gave hold, or some more: it reads ahead. */
  readonly plainBytes: () => number;
}

export interface RestorePlan {
  /** Unique to this restore; marks what it makes: `20261122T020000Z-3fa9`. */
  readonly run: string;
  readonly manifest: Manifest;
  /** The databases to restore with the names they get: the same name replaces. */
  readonly databases: readonly { readonly name: string; readonly restoredAs: string }[];
  readonly open: OpenArchive;
  /** The same for a target that decodes by itself; null where the file is not compressed so. */
  readonly openZstd: (file: ArchiveFile, signal: AbortSignal) => CompressedArchive | null;
  /** Containers that are stopped before the swap, by id: what they use now they do not use then. */
  readonly stops: readonly string[];
  readonly onProgress: (progress: RestoreProgress) => void;
}

export interface RestoreProgress {
  readonly stage: 'load' | 'index' | 'compare' | 'swap';
  readonly database: string;
  readonly bytes?: number;
  readonly totalBytes?: number;
}

/** One database loaded beside; plain JSON, kept in the journal. */
export interface BesideDatabase {
  readonly name: string;
  readonly restoredAs: string;
  /** The temporary name it was loaded under, and what the engine knows it by. */
  readonly temporary: string;
  readonly temporaryId: string;
  /** What is in the way now and the name under which it will be kept; null where nothing is. */
  readonly live: { readonly id: string; readonly keptAs: string } | null;
}

/** What was loaded beside; plain JSON. */
export interface Beside {
  readonly run: string;
  readonly target: TargetRef;
  readonly databases: readonly BesideDatabase[];
  /** What was left out of the restore, and why. */
  readonly warnings: readonly Warning[];
  /** Statements that the engine runs with the swap; no secrets. */
  readonly statements: readonly string[];
}

/** What a restore replaced and kept; plain JSON, what `--undo` needs. */
export interface Previous {
  readonly run: string;
  readonly source: string;
  readonly engine: Engine;
  readonly target: TargetRef;
  readonly replacedAt: string;
  readonly databases: readonly PreviousDatabase[];
}

export interface PreviousDatabase {
  /** The name in use. */
  readonly name: string;
  /** What is in use now; null where nothing is. */
  readonly currentId: string | null;
  /** What was kept; null where the restore created the database. */
  readonly kept: { readonly id: string; readonly name: string } | null;
}

/** What came of a swap. */
export interface Swapped {
  readonly previous: Previous;
  /** What could not be done after it. */
  readonly warnings: readonly Warning[];
}

/** A reason not to begin. */
export interface Problem {
  readonly code:
    | 'target-unavailable'
    | 'target-in-use'
    | 'no-space'
    | 'usage'
    | 'format-unsupported'
    | 'restore-failed';
  readonly message: string;
  readonly hint: string;
}

/** What a look at the target found before a restore. */
export interface Preflight {
  readonly problems: readonly Problem[];
  /** Those of the names to restore as that are in use now. */
  readonly existing: readonly string[];
}

/** Where the steps of a restore are written down before they are taken; one journal a source, cleared by who owns the restore. */
export interface Journal {
  /** Makes the record durable before it resolves. */
  write(state: JournalState): Promise<void>;
}

/** Plain JSON: enough to finish or reverse after a crash at any point. */
export type JournalState =
  | {
      readonly step: 'building';
      readonly source: string;
      readonly engine: Engine;
      readonly target: TargetRef;
      readonly run: string;
    }
  | {
      readonly step: 'swapping';
      readonly source: string;
      readonly engine: Engine;
      readonly id: string;
      readonly beside: Beside;
    }
  | {
      readonly step: 'undoing';
      readonly source: string;
      readonly engine: Engine;
      /** Unique to this undo. */
      readonly run: string;
      readonly previous: Previous;
      readonly keptAs: readonly string[];
    };

/** What a restore or undo works in. */
export function targetOf(state: JournalState): TargetRef {
  switch (state.step) {
    case 'building':
      return state.target;
    case 'swapping':
      return state.beside.target;
    case 'undoing':
      return state.previous.target;
  }
}

/**
 * Everything but `preflight` can be killed at any point: the journal has what `resume` needs to finish or undo.
 * The signal of `swap` and `undo` is looked at before they begin; once begun they come to an end.
 */
export interface Restorer {
  /** Looks, changes nothing. */
  preflight(into: TargetRef, plan: RestorePlan, signal: AbortSignal): Promise<Preflight>;
  /** Loads every database beside; where it fails the caller discards what it made. */
  build(into: TargetRef, plan: RestorePlan, journal: Journal, signal: AbortSignal): Promise<Beside>;
  /** Compares what was loaded beside with the backup's facts, by name of the database. */
  compare(
    beside: Beside,
    plan: RestorePlan,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Comparison>>;
  /** All databases at once or none. */
  swap(beside: Beside, plan: RestorePlan, journal: Journal, signal: AbortSignal): Promise<Swapped>;
  /** Finishes or reverses what a dead process left; resolves with what is kept where the swap had happened, else null. */
  resume(state: JournalState, signal: AbortSignal): Promise<Previous | null>;
  /** What earlier restores kept in this target, newest first; read from the target itself. */
  previous(at: TargetRef, signal: AbortSignal): Promise<readonly Previous[]>;
  undo(previous: Previous, journal: Journal, signal: AbortSignal): Promise<Previous>;
  dropPrevious(previous: Previous, signal: AbortSignal): Promise<void>;
  /** Removes what was loaded beside; idempotent. */
  discard(beside: Pick<Beside, 'run' | 'target'>, signal: AbortSignal): Promise<void>;
}

/** What answered when a target was tried. */
export interface Probe {
  readonly toolVersion: string;
  readonly serverVersion: string;
}

/** A configured thing to back up, bound to its options. */
export interface Source {
  readonly name: string;
  readonly engine: Engine;
  /** @throws BackupdError `target-unavailable` naming what was looked for. */
  locate(signal: AbortSignal): Promise<TargetRef>;
  /** The target of an earlier time as it is now, by its id or else its name; null where there is none any more. */
  refind(at: TargetRef, signal: AbortSignal): Promise<TargetRef | null>;
  /** Where a backup of it is restored to, which may have to be made first; absent where that is what `locate` finds. */
  readonly destination?: (manifest: Manifest, signal: AbortSignal) => Promise<TargetRef>;
  /** Finds the tools and logs in, as a dump would first; changes nothing. @throws BackupdError saying which of it fails. */
  probe(at: TargetRef, signal: AbortSignal): Promise<Probe>;
  /** Ends tools and sessions that a dead process of this `/backups` left in the target. The caller holds the source's lock. */
  sweep(at: TargetRef, signal: AbortSignal): Promise<void>;
  /** Sweeps, and opens a dump. */
  open(at: TargetRef, plan: DumpPlan, signal: AbortSignal): Promise<DumpSession>;
  /** A fresh reader for a file of this format. @throws BackupdError `format-unsupported` */
  reader(format: string): StreamReader;
  readonly restorer: Restorer;
}
