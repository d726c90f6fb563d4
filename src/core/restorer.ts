import type { Readable } from 'node:stream';
import type { Comparison } from './facts.ts';
import type { ArchiveFile, Manifest, Warning } from './manifest.ts';
import type { Engine, TargetRef } from './target.ts';

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
