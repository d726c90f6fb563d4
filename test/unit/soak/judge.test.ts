import { describe, expect, test } from 'vitest';
import { findFalseComfort, findGaps, findMiscounts, readMemory } from '../../soak/judge.ts';
import { wrongTicks, type Tick } from '../../soak/ticks.ts';
import { readScrape, type Said, type Sample } from '../../soak/watch.ts';

const MAX_AGE_SECONDS = 90;
const FINE: Said = { ageSeconds: 10, maxAgeSeconds: MAX_AGE_SECONDS, success: 5, without: 0 };
const LATE: Said = { ...FINE, ageSeconds: 200 };

/** At so many seconds; `newest`: when the newest backup on the disk was done. */
function sample(at: number, newest: number | null, said: Said | null): Sample {
  return {
    atMs: at * 1000,
    said: said === null ? null : new Map([['db', said]]),
    memoryBytes: said === null ? null : 100e6,
    newestAtMs: new Map(newest === null ? [] : [['db', newest * 1000]]),
  };
}

function gaps(samples: readonly Sample[]): readonly (readonly string[])[] {
  return findGaps(samples, MAX_AGE_SECONDS * 1000).map(({ told }) => told);
}

describe('gaps', () => {
  test('none where backups are young', () => {
    expect(gaps([sample(10, 5, FINE), sample(95, 5, FINE), sample(98, 97, FINE)])).toEqual([]);
  });

  test.each<[string, Said | null, readonly string[]]>([
    ['silent', FINE, []],
    ['said to be late', LATE, ['overdue']],
    ['a run failed', { ...FINE, without: 1 }, ['run without backup']],
    ['no answer', null, ['no answer']],
  ])('one that was %s', (_name, said, told) => {
    expect(gaps([sample(10, 5, FINE), sample(120, 5, said), sample(125, 122, FINE)])).toEqual([
      told,
    ]);
  });

  test('what failed before the last good backup explains nothing', () => {
    const failed = { ...FINE, without: 1 };
    expect(gaps([sample(1, 0, FINE), sample(10, 5, failed), sample(120, 5, failed)])).toEqual([[]]);
  });
});

test('who says fine while the disk says late is found', () => {
  const samples = [sample(10, 5, FINE), sample(120, 5, FINE), sample(120, 5, LATE)];
  expect(findFalseComfort(samples)).toEqual([
    'db at 1970-01-01T00:02:00.000Z: said to be 10 s old',
  ]);
  expect(findFalseComfort([sample(120, null, FINE)])).toHaveLength(1);
  // It was done after the scrape.
  expect(findFalseComfort([sample(120, 121, LATE)])).toEqual([]);
});

test('successes are no more than there were backups, and backups that are not counted are cut off ones', () => {
  const seen = new Set(['db/1', 'db/2', 'db/3', 'other/1']);
  function miscounts(success: number, without: number): number {
    return findMiscounts(sample(1, 0, { ...FINE, success, without }), seen).length;
  }
  expect([miscounts(3, 0), miscounts(2, 1), miscounts(4, 0), miscounts(2, 0)]).toEqual([
    0, 0, 1, 1,
  ]);
});

test('memory is that of the longest life after its first minute', () => {
  const course = readMemory([
    sample(0, 0, FINE),
    sample(2, 0, null),
    ...[10, 30, 70, 80, 90, 100].map((at) => sample(at, 0, FINE)),
  ]);
  expect(course).toEqual({ samples: 4, mostMb: 100, earlyMb: 100, lateMb: 100 });
});

test('a scrape is read by source', () => {
  const text = `# HELP x
backupd_backup_age_seconds{source="db"} +Inf
backupd_backup_max_age_seconds{source="db"} 90
backupd_backup_runs_total{source="db",result="success"} 3
backupd_backup_runs_total{source="db",result="failed"} 1
backupd_backup_runs_total{source="db",result="skipped"} 2
backupd_backup_runs_total{source="db",result="interrupted"} 0
process_resident_memory_bytes 5000
`;
  expect(readScrape(text)).toEqual({
    memoryBytes: 5000,
    said: new Map([['db', { ageSeconds: Infinity, maxAgeSeconds: 90, success: 3, without: 3 }]]),
  });
});

describe('ticks in a backup', () => {
  const BACKUP = { startedAt: '1970-01-01T00:00:10Z', finishedAt: '1970-01-01T00:00:12Z' };
  const WRITTEN: readonly Tick[] = [
    { n: 1, beganAtMs: 1000, doneAtMs: 1500 },
    // The target died under it.
    { n: 2, beganAtMs: 3000, doneAtMs: null },
    { n: 3, beganAtMs: 11_000, doneAtMs: 11_500 },
    { n: 4, beganAtMs: 13_000, doneAtMs: 13_500 },
  ];

  test.each<[readonly number[], string | null]>([
    [[1], null],
    [[1, 2, 3], null],
    [[2, 3], '1 ticks of before are missing, the first is 1'],
    [[1, 4], 'tick 4 is of later'],
    [[1, 1], '1 ticks are there twice'],
  ])('%j: %s', (found, wrong) => {
    expect(wrongTicks(WRITTEN, found, BACKUP)).toBe(wrong);
  });
});
