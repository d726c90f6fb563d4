import { describe, expect, test } from 'vitest';
import { describeDrills, judgeDrills } from '../../../src/core/drill-standing.ts';
import { addDrill, NO_DRILLS, type DrillReport } from '../../../src/core/drill.ts';
import type { Job } from '../../../src/core/job.ts';
import type { SourceStatus } from '../../../src/core/status.ts';
import { drillReport } from '../../support/drill-report.ts';
import { sampleJob } from '../../support/storage.ts';

const NOW = Date.parse('2026-11-22T12:00:00.000Z');
const AT = '2026-11-22T04:00:00.000Z';
const MONTHLY = { patterns: ['0 4 1 * *'], timezone: 'UTC', catchUpMs: 0 };

const PASSED = drillReport({ at: AT, recoveryMs: 90_000 });

function judge(
  reports: readonly DrillReport[],
  changes: Partial<Job> = {},
): ReturnType<typeof judgeDrills> {
  let record = NO_DRILLS;
  for (const report of reports) {
    record = addDrill(record, report);
  }
  const job = sampleJob({ drill: MONTHLY, ...changes });
  const lastGoodStartedAt = '2026-11-22T02:00:00.000Z';
  return judgeDrills({ job, record, schedule: null, lastGoodStartedAt }, NOW);
}

function skippedFor(code: 'key-missing' | 'no-space'): DrillReport {
  const failure = { code, message: 'not now', hint: null };
  return { ...PASSED, at: '2026-11-22T05:00:00.000Z', ok: false, skipped: 'not now', failure };
}

describe('how drills stand', () => {
  test('before the first one', () => {
    expect(judge([])).toEqual({
      lastDrill: null,
      drill: {
        lastSuccessAt: null,
        skipped: null,
        nextRunAt: '2026-12-01T04:00:00.000Z',
        maxAgeSeconds: 30 * 86_400 * 1.5,
      },
      recovery: {
        rpo: { targetSeconds: null, measuredSeconds: 36_000, met: null },
        rto: { targetSeconds: null, measuredSeconds: null, met: null },
      },
    });
  });

  test('says what was not compared, and what else is to be known', () => {
    const notes = ['the image that the backup is of is gone'];
    const notCompared = ['anything of "shop": no facts were recorded'];
    expect(judge([{ ...PASSED, integrity: null, notCompared, notes }]).lastDrill).toMatchObject({
      ok: true,
      integrity: null,
      notCompared,
      notes,
    });
  });

  test('is the last verdict, whatever was skipped since', () => {
    expect(judge([PASSED, skippedFor('no-space')])).toMatchObject({
      lastDrill: { at: AT, ok: true, recoveryMs: 90_000 },
      drill: {
        lastSuccessAt: AT,
        skipped: { failure: { code: 'no-space' } },
        maxAgeSeconds: 3_888_000,
      },
    });
  });

  test('is never too old where they are off, or the key is elsewhere on purpose', () => {
    expect(judge([], { drill: { ...MONTHLY, patterns: [] } }).drill.maxAgeSeconds).toBeNull();
    expect(judge([skippedFor('key-missing')]).drill.maxAgeSeconds).toBeNull();
  });

  test('is too old one day where only the key of an old copy is elsewhere', () => {
    const { drill } = judge([{ ...skippedFor('key-missing'), from: 's3' }]);
    expect(drill.maxAgeSeconds).toBe(3_888_000);
  });
});

describe('what is asked for', () => {
  test.each([
    [{ rpoMs: 36_000_000, rtoMs: 90_000 }, true],
    [{ rpoMs: 35_999_999, rtoMs: 89_999 }, false],
  ])('is met or missed: %o', (targets, met) => {
    const { recovery, ...rest } = judge([PASSED], targets);
    expect([recovery.rpo.met, recovery.rto.met]).toEqual([met, met]);
    const status = { source: 'db', recovery, ...rest } as SourceStatus;
    expect(describeDrills([status]).map(({ code }) => code)).toEqual(
      met ? [] : ['rpo-missed', 'rto-missed'],
    );
  });

  test('and a drill that failed is said', () => {
    const failure = { code: 'verification-failed', message: 'rows differ', hint: null } as const;
    const judged = judge([{ ...PASSED, ok: false, failure }]);
    const [problem] = describeDrills([{ source: 'db', ...judged } as SourceStatus]);
    expect(problem).toMatchObject({ code: 'drill-failed' });
    expect(problem?.message).toContain('rows differ');
  });
});
