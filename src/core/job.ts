import type { CommandTarget } from './halts.ts';
import type { Compression } from './manifest.ts';
import type { FactsDepth } from './source.ts';
import type { Engine } from './target.ts';

/** When something runs. */
export interface Schedule {
  /** Cron patterns of 5 or 6 fields, any of which is an occurrence; empty: never by itself. */
  readonly patterns: readonly string[];
  /** IANA name. */
  readonly timezone: string;
  /** How late a missed run is still made up for. */
  readonly catchUpMs: number;
  /** How long after what the patterns say it runs; absent: not at all. */
  readonly delayMs?: number;
}

/** When a source without a new backup is overdue: a multiple of its own interval, or a fixed age. */
export type MaxAge = { readonly intervals: number } | { readonly ms: number };

/** What retention keeps; `all` keeps everything. A count of 0 or an absent one keeps nothing by that rule. */
export type RetentionPolicy =
  | { readonly all: true }
  | {
      readonly all: false;
      readonly last: number;
      readonly hourly: number;
      readonly daily: number;
      readonly weekly: number;
      readonly monthly: number;
      readonly yearly: number;
      readonly withinMs: number;
    };

/** How a configured source says what it lives in. */
export type TargetSpec =
  /** A container found by its labels: its id as listed last. */
  | { readonly by: 'discovery'; readonly containerId: string; readonly container: string }
  /** A compose service of backupd's own project, else an exact container name. */
  | { readonly by: 'name'; readonly container: string }
  /** A volume by its name, or a directory of the host by its path; with the container whose labels name it, if one does. */
  | {
      readonly by: 'volume';
      readonly volume: string;
      readonly labelled: CommandTarget | null;
    };

/** What people call it. */
export function specName(spec: TargetSpec): string {
  return spec.by === 'volume' ? spec.volume : spec.container;
}

/** Everything configured about one source. */
export interface Job {
  readonly source: string;
  readonly engine: Engine | null;
  readonly target: TargetSpec;
  /** null: all. */
  readonly databases: readonly string[] | null;
  /** Databases; of a volume: patterns of paths. */
  readonly exclude: readonly string[];
  readonly user: string | null;
  /** A path inside the target. */
  readonly passwordFile: string | null;
  /** Containers to stop, and to pause, while it is dumped; as a person names them. */
  readonly stop: readonly string[];
  readonly pause: readonly string[];
  /** Commands for the target's shell around a backup; null: none. */
  readonly before: string | null;
  readonly after: string | null;
  readonly schedule: Schedule;
  readonly keep: RetentionPolicy;
  readonly maxAge: MaxAge;
  /** When its restore is tried. */
  readonly drill: Schedule;
  /** What is to hold in what was restored: a statement, or `exec:` and a command; null: nothing beside the facts. */
  readonly drillCheck: string | null;
  /** What may be lost, and how long getting it back may take; null: nothing is asked for. */
  readonly rpoMs: number | null;
  readonly rtoMs: number | null;
  readonly timeoutMs: number;
  readonly facts: FactsDepth;
  readonly compression: {
    readonly algorithm: Compression;
    readonly level: number;
    readonly where: 'auto' | 'target' | 'backupd';
  };
}
