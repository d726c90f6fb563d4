import type { Sample } from './watch.ts';

/** A time in which a source had no backup on the disk that was young enough. */
export interface Gap {
  readonly source: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** How it could be known; empty: it could not. */
  readonly told: readonly ('overdue' | 'run without backup' | 'no answer')[];
}

/** Clocks of files are coarse, and a scrape takes its time. */
const SLACK_MS = 3000;

/** All gaps in what was seen, and how each was told. */
export function findGaps(samples: readonly Sample[], maxAgeMs: number): readonly Gap[] {
  const sources = new Set(samples.flatMap(({ newestAtMs }) => [...newestAtMs.keys()]));
  return [...sources].flatMap((source) => gapsOf(source, samples, maxAgeMs));
}

function gapsOf(source: string, samples: readonly Sample[], maxAgeMs: number): readonly Gap[] {
  const gaps: Gap[] = [];
  let begun: number | null = null;
  for (const [index, { newestAtMs, atMs }] of samples.entries()) {
    const newest = newestAtMs.get(source);
    const isLate = newest !== undefined && atMs - newest > maxAgeMs + SLACK_MS;
    if (isLate) {
      begun ??= index;
    }
    if (begun !== null && (!isLate || index === samples.length - 1)) {
      gaps.push(describeGap(source, samples, { begun, ended: index }));
      begun = null;
    }
  }
  return gaps;
}

function describeGap(
  source: string,
  samples: readonly Sample[],
  { begun, ended }: { readonly begun: number; readonly ended: number },
): Gap {
  const newest = samples[begun]?.newestAtMs.get(source) ?? 0;
  // What went wrong did so since the last good backup.
  const since = samples.findIndex(({ atMs }) => atMs >= newest);
  const within = samples.slice(since, ended + 1);
  const counts = within.flatMap(({ said }) => said?.get(source)?.without ?? []);
  const told: Gap['told'][number][] = [];
  if (samples.slice(begun, ended).some(({ said }) => isSaidLate(said?.get(source)))) {
    told.push('overdue');
  }
  if (Math.max(...counts) > (counts[0] ?? 0)) {
    told.push('run without backup');
  }
  if (within.some(({ said }) => said === null)) {
    told.push('no answer');
  }
  return { source, fromMs: newest, toMs: samples[ended]?.atMs ?? newest, told };
}

/** Where backupd said at a scrape that a source was fine while its newest backup on the disk was too old, or not there. */
export function findFalseComfort(samples: readonly Sample[]): readonly string[] {
  return samples.flatMap(({ atMs, newestAtMs, said }) =>
    [...(said ?? [])].flatMap(([source, one]) => {
      const newest = newestAtMs.get(source) ?? null;
      const isLate = newest === null || atMs - newest > one.maxAgeSeconds * 1000 + SLACK_MS;
      return isLate && !isSaidLate(one)
        ? [`${source} at ${new Date(atMs).toISOString()}: said to be ${one.ageSeconds} s old`]
        : [];
    }),
  );
}

function isSaidLate(said: { ageSeconds: number; maxAgeSeconds: number } | undefined): boolean {
  return said !== undefined && said.ageSeconds > said.maxAgeSeconds;
}

/** Where the counter of successes has more, or far fewer, than there ever were backups. */
export function findMiscounts(last: Sample, seen: ReadonlySet<string>): readonly string[] {
  return [...(last.said ?? [])].flatMap(([source, { success, without }]) => {
    const backups = [...seen].filter((id) => id.startsWith(`${source}/`)).length;
    // A daemon that was killed between the backup and its record counts it as cut off.
    return success > backups || backups > success + without
      ? [`${source}: ${success} successes, ${without} other runs, ${backups} backups seen`]
      : [];
  });
}

export interface MemoryCourse {
  readonly samples: number;
  readonly mostMb: number;
  /** Medians of the first and the last third of the longest life, without its first minute. */
  readonly earlyMb: number;
  readonly lateMb: number;
}

const WARM_UP_MS = 60_000;

/** How the memory of the daemon went in its longest life. */
export function readMemory(samples: readonly Sample[]): MemoryCourse {
  const lives: { atMs: number; mb: number }[][] = [[]];
  for (const { atMs, memoryBytes } of samples) {
    if (memoryBytes === null) {
      lives.push([]);
    } else {
      lives.at(-1)?.push({ atMs, mb: memoryBytes / 1e6 });
    }
  }
  const [longest = []] = lives.toSorted((one, other) => other.length - one.length);
  const bornAtMs = longest[0]?.atMs ?? 0;
  const warm = longest.filter(({ atMs }) => atMs >= bornAtMs + WARM_UP_MS).map(({ mb }) => mb);
  const third = Math.ceil(warm.length / 3);
  return {
    samples: warm.length,
    mostMb: Math.max(...lives.flat().map(({ mb }) => mb)),
    earlyMb: median(warm.slice(0, third)),
    lateMb: median(warm.slice(-third)),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
