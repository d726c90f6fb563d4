import { describe, expect, test } from 'vitest';
import { uploadDueAt, type UploadRecord } from '../../../src/core/upload-record.ts';

const SCHEDULE = { patterns: ['0 */6 * * *'], timezone: 'UTC', catchUpMs: 0 };
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Half past one. */
const NOW_MS = Date.UTC(2026, 0, 1, 1, 30);
const SIX_MS = Date.UTC(2026, 0, 1, 6);

type Attempt = Pick<UploadRecord, 'lastAttempt' | 'failure' | 'failedInRow'>;

function ago(ms: number): string {
  return new Date(NOW_MS - ms).toISOString();
}

function attempt(change: Partial<Attempt> = {}): Attempt {
  const at = ago(HOUR_MS);
  return { lastAttempt: { at, finishedAt: at }, failure: null, failedInRow: 0, ...change };
}

const FAILURE = { code: 'destination-unavailable', message: 'it is down', hint: null } as const;

describe('when an upload is due', () => {
  test.each<[string, Attempt, boolean, number | null]>([
    ['never tried, and something is wanted: at once', attempt({ lastAttempt: null }), true, NOW_MS],
    ['never tried, and nothing is: by the schedule', attempt({ lastAttempt: null }), false, SIX_MS],
    ['all well: by the schedule', attempt(), true, SIX_MS],
    [
      'an occurrence was missed: at once, however long ago',
      attempt({ lastAttempt: { at: ago(900 * HOUR_MS), finishedAt: ago(900 * HOUR_MS) } }),
      false,
      NOW_MS - 900 * HOUR_MS + 4.5 * HOUR_MS,
    ],
    [
      'failed once: after a minute',
      attempt({ failure: FAILURE, failedInRow: 1 }),
      true,
      NOW_MS - HOUR_MS + MINUTE_MS,
    ],
    ['failed often: after an hour', attempt({ failure: FAILURE, failedInRow: 40 }), true, NOW_MS],
    [
      'cut off: at once',
      attempt({ lastAttempt: { at: ago(1), finishedAt: null }, failedInRow: 1 }),
      true,
      NOW_MS,
    ],
    [
      'cut off again and again: with back-off',
      attempt({ lastAttempt: { at: ago(0), finishedAt: null }, failedInRow: 4 }),
      true,
      NOW_MS + 8 * MINUTE_MS,
    ],
    [
      'the clock was set back: by the schedule',
      attempt({ lastAttempt: { at: ago(-99 * HOUR_MS), finishedAt: ago(-99 * HOUR_MS) } }),
      true,
      SIX_MS,
    ],
  ])('%s', (_name, record, isWanted, due) => {
    expect(uploadDueAt(SCHEDULE, record, isWanted, NOW_MS)).toBe(due);
  });

  test('the schedule comes before a long back-off', () => {
    const late = Date.UTC(2026, 0, 1, 5, 59);
    const record = attempt({
      failure: FAILURE,
      failedInRow: 9,
      lastAttempt: { at: new Date(late).toISOString(), finishedAt: new Date(late).toISOString() },
    });
    expect(uploadDueAt(SCHEDULE, record, true, late)).toBe(SIX_MS);
    expect(uploadDueAt(SCHEDULE, record, true, SIX_MS + 1)).toBe(SIX_MS);
  });

  test('off is never', () => {
    const record = attempt({ failure: FAILURE, failedInRow: 1 });
    expect(uploadDueAt({ ...SCHEDULE, patterns: [] }, record, true, NOW_MS)).toBeNull();
  });
});
