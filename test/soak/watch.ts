import { setTimeout as pause } from 'node:timers/promises';
import type { SoakStage } from './stage.ts';

/** What backupd said of a source at a scrape. */
export interface Said {
  readonly ageSeconds: number;
  readonly maxAgeSeconds: number;
  readonly success: number;
  /** Runs that left no backup, whatever is said of why. */
  readonly without: number;
}

/** A look at everything at once: what backupd says, and what lies on the disk. */
export interface Sample {
  readonly atMs: number;
  /** By source; null: it did not answer, which Prometheus sees as well. */
  readonly said: ReadonlyMap<string, Said> | null;
  readonly memoryBytes: number | null;
  /** When the newest backup of each source that lies on the disk was done. */
  readonly newestAtMs: ReadonlyMap<string, number>;
}

export interface Watched {
  readonly samples: Sample[];
  /** Every backup that was ever seen on the disk, as `<source>/<id>`. */
  readonly seen: Set<string>;
}

const EVERY_MS = 2000;

/** Looks until it is aborted. */
export async function keepWatching(
  stage: SoakStage,
  { samples, seen }: Watched,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    // What it says first: what is done between the two is not held against it.
    const atMs = Date.now();
    const answer = await ask(stage.metricsUrl);
    samples.push({ atMs, newestAtMs: await lookAtDisk(stage, seen), ...answer });
    await pause(EVERY_MS, null, { signal }).catch(() => null);
  }
}

async function lookAtDisk(
  { disk }: SoakStage,
  seen: Set<string>,
): Promise<ReadonlyMap<string, number>> {
  const find = ['find', '/backups', '-mindepth', '3', '-maxdepth', '3', '-name', 'manifest.json'];
  const { stdout } = await disk.exec([...find, '-printf', '%P %T@\n']);
  const newest = new Map<string, number>();
  for (const [, source = '', id = '', at] of stdout.matchAll(
    /^([^/]+)\/(\d{8}T\d{6}Z-full-[0-9a-f]{4})\/manifest\.json (\S+)$/gm,
  )) {
    seen.add(`${source}/${id}`);
    newest.set(source, Math.max(newest.get(source) ?? 0, Number(at) * 1000));
  }
  return newest;
}

async function ask(url: string): Promise<Pick<Sample, 'said' | 'memoryBytes'>> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    return answer.ok ? readScrape(await answer.text()) : { said: null, memoryBytes: null };
  } catch {
    return { said: null, memoryBytes: null };
  }
}

const RUNS = 'backupd_backup_runs_total';

export function readScrape(text: string): Pick<Sample, 'said' | 'memoryBytes'> {
  const values = new Map<string, number>();
  for (const [, series = '', value = ''] of text.matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm)) {
    values.set(series, Number(value.replace('Inf', 'Infinity')));
  }

  function of(name: string, source: string, more = ''): number {
    return values.get(`${name}{source="${source}"${more}}`) ?? Number.NaN;
  }

  const sources = [...text.matchAll(/^backupd_backup_age_seconds\{source="([^"]+)"\}/gm)];
  const said = sources.map(([, source = '']): readonly [string, Said] => [
    source,
    {
      ageSeconds: of('backupd_backup_age_seconds', source),
      maxAgeSeconds: of('backupd_backup_max_age_seconds', source),
      success: of(RUNS, source, ',result="success"'),
      without: ['failed', 'skipped', 'interrupted']
        .map((result) => of(RUNS, source, `,result="${result}"`))
        .reduce((sum, value) => sum + value, 0),
    },
  ]);
  return {
    said: new Map(said),
    memoryBytes: values.get('process_resident_memory_bytes') ?? null,
  };
}
