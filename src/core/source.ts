import type { Readable } from 'node:stream';
import type { Facts, TableFact } from './facts.ts';
import type { Compression, Manifest, Warning } from './manifest.ts';
import type { Restorer } from './restorer.ts';
import type { Engine, TargetRef } from './target.ts';

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
