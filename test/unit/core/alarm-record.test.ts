import { describe, expect, test } from 'vitest';
import {
  follow,
  isWaiting,
  markFailed,
  markRefused,
  markSent,
  NOTHING_TOLD,
  planMessages,
  refresh,
  type ChannelRecord,
  type Manner,
} from '../../../src/core/alarm-record.ts';
import { ALARM_EVENTS, type Incident } from '../../../src/core/incident.ts';
import { failure } from '../../support/incidents.ts';

const PEOPLE: Manner = { kind: 'digests', on: ALARM_EVENTS, namespace: 'shop' };
const EVENTS: Manner = { ...PEOPLE, kind: 'events' };
const ALERTS: Manner = { ...PEOPLE, kind: 'alerts' };
const MINUTE_MS = 60_000;

/** Looks at what is wrong and sends all that is due. */
function look(
  record: ChannelRecord,
  found: readonly Incident[],
  manner: Manner,
  nowMs: number,
): { readonly record: ChannelRecord; readonly sent: readonly string[] } {
  let now = follow(record, found, manner, nowMs);
  const sent: string[] = [];
  for (let [next] = planMessages(now, manner, nowMs); next !== undefined;) {
    expect(sent.length, 'messages without an end').toBeLessThan(200);
    sent.push(next.map(({ incident, tells }) => `${incident.source ?? '-'} ${tells}`).join(', '));
    now = markSent(now, next, nowMs);
    [next] = planMessages(now, manner, nowMs);
  }
  return { record: now, sent };
}

describe('one incident', () => {
  test.each([PEOPLE, EVENTS, ALERTS])('is told once, and once when it is over: $kind', (manner) => {
    const first = look(NOTHING_TOLD, [failure('db')], manner, 0);
    expect(first.sent).toEqual(['db open']);
    const later = look(first.record, [failure('db', { message: 'another' })], manner, MINUTE_MS);
    expect(later.sent).toEqual([]);
    const over = look(later.record, [], manner, 2 * MINUTE_MS);
    expect(over.sent).toEqual(['db over']);
    expect(over.record.incidents).toEqual([]);
    expect(look(over.record, [], manner, 3 * MINUTE_MS).sent).toEqual([]);
  });

  test('of an event that nobody wants to know is not told', () => {
    const manner: Manner = { ...PEOPLE, on: ['overdue'] };
    expect(look(NOTHING_TOLD, [failure('db')], manner, 0).sent).toEqual([]);
  });

  test('is not told to be over where nobody wants to know; an alert is ended all the same', () => {
    for (const [kind, expected] of [
      ['digests', []],
      ['events', []],
      ['alerts', ['db over']],
    ] as const) {
      const manner: Manner = { ...PEOPLE, kind, on: ['failure'] };
      const { record } = look(NOTHING_TOLD, [failure('db')], manner, 0);
      expect(look(record, [], manner, 1).sent).toEqual(expected);
    }
  });

  test('that passes in its grace is no news', () => {
    const docker = failure('db', { graceMs: 2 * MINUTE_MS });
    const seen = look(NOTHING_TOLD, [docker], PEOPLE, 0);
    expect(seen.sent).toEqual([]);
    expect(look(seen.record, [], PEOPLE, MINUTE_MS).record.incidents).toEqual([]);
    expect(look(seen.record, [docker], PEOPLE, 2 * MINUTE_MS).sent).toEqual(['db open']);
  });

  test('that only lingers is not begun, and not over', () => {
    const lingering = failure('db', { opens: false });
    expect(look(NOTHING_TOLD, [lingering], PEOPLE, 0).sent).toEqual([]);
    const { record } = look(NOTHING_TOLD, [failure('db')], PEOPLE, 0);
    expect(look(record, [lingering], PEOPLE, 1).sent).toEqual([]);
  });

  test('that was over before it could be told is told all the same', () => {
    const begun = follow(NOTHING_TOLD, [failure('db')], PEOPLE, 0);
    expect(look(begun, [], PEOPLE, MINUTE_MS).sent).toEqual(['db both']);
    expect(look(begun, [], EVENTS, MINUTE_MS).sent).toEqual(['db open', 'db over']);
  });

  test('and the same trouble anew while the channel was dead are two', () => {
    const begun = follow(NOTHING_TOLD, [failure('db')], EVENTS, 0);
    const over = follow(begun, [], EVENTS, 1);
    const again = follow(over, [failure('db')], EVENTS, 2);
    expect(look(again, [failure('db')], EVENTS, 3).sent).toEqual(['db open', 'db over', 'db open']);
  });

  test('goes on as an alert while another of the same key lasts', () => {
    const damage = failure('db', { about: 'verification' });
    const { record, sent } = look(NOTHING_TOLD, [failure('db'), damage], ALERTS, 0);
    expect(sent).toHaveLength(2);
    const one = look(record, [damage], ALERTS, 1);
    expect(one.sent).toEqual([]);
    expect(look(one.record, [], ALERTS, 2).sent).toEqual(['db over']);
  });
});

test('an alert is ended though another of the same key begins then, and passes in its grace', () => {
  const { record } = look(NOTHING_TOLD, [failure('db')], ALERTS, 0);
  const brief = failure('db', { about: 'verification', graceMs: 2 * MINUTE_MS });
  const one = look(record, [brief], ALERTS, MINUTE_MS);
  const other = look(one.record, [], ALERTS, 2 * MINUTE_MS);
  expect([...one.sent, ...other.sent]).toEqual(['db over']);
  expect(other.record.incidents).toEqual([]);
});

test('what is over is told with the backup that ended it', () => {
  const { record } = look(NOTHING_TOLD, [failure('db')], PEOPLE, 0);
  const lastSuccessAt = '2026-11-28T05:00:00.000Z';
  const over = follow(refresh(record, [{ source: 'db', lastSuccessAt }]), [], PEOPLE, 1);
  expect(over.incidents).toMatchObject([{ lastSuccessAt }]);
});

test('what is no source any more is not said to be well', () => {
  const { record } = look(NOTHING_TOLD, [failure('db')], PEOPLE, 0);
  const over = follow(refresh(record, []), [], PEOPLE, 1);
  expect(over.incidents).toMatchObject([{ overTitle: 'db is no source any more' }]);
});

test('a clock that is set back hides nothing', () => {
  const docker = failure('db', { graceMs: MINUTE_MS });
  const { record } = look(NOTHING_TOLD, [docker], PEOPLE, 100 * MINUTE_MS);
  expect(look(record, [docker], PEOPLE, 0).sent).toEqual(['db open']);
});

describe('a flood', () => {
  const all = Array.from({ length: 50 }, (_, index) => failure(`db${index}`));

  test('is one message to people, and one for each elsewhere', () => {
    const { sent, record } = look(NOTHING_TOLD, all, PEOPLE, 0);
    expect(sent).toHaveLength(1);
    expect(sent[0]?.split(', ')).toHaveLength(50);
    expect(look(record, [], PEOPLE, MINUTE_MS).sent).toHaveLength(1);
    expect(look(NOTHING_TOLD, all, EVENTS, 0).sent).toHaveLength(50);
    expect(look(NOTHING_TOLD, all, ALERTS, 0).sent).toHaveLength(50);
  });

  test('that comes drop by drop is a few messages in ten minutes, and nothing is left out', () => {
    let record = NOTHING_TOLD;
    const sent: string[] = [];
    for (let minute = 0; minute < 50; minute += 1) {
      const found = all.slice(0, Math.min(50, 5 * (minute + 1)));
      const looked = look(record, found, PEOPLE, minute * MINUTE_MS);
      record = looked.record;
      sent.push(...looked.sent);
    }
    expect(sent.length).toBeLessThanOrEqual(10);
    expect(sent.join(', ').split(', ')).toHaveLength(50);
  });
});

describe('a message that is refused', () => {
  const failed = { message: 'no', retryAfterMs: null };

  /** Refuses what comes first, so many times. */
  function refuse(record: ChannelRecord, times: number, manner: Manner, nowMs: number) {
    let now = record;
    for (let time = 0; time < times; time += 1) {
      const [first = []] = planMessages(now, manner, nowMs);
      now = markRefused(now, first, failed, nowMs);
    }
    return now;
  }

  test.each([PEOPLE, EVENTS, ALERTS])('keeps no other from being told: $kind', (manner) => {
    const begun = follow(NOTHING_TOLD, [failure('db')], manner, 0);
    // It may be the channel that is wrong.
    const once = refuse(begun, 1, manner, 0);
    expect([29_999, 30_000].map((ms) => isWaiting(once, ms))).toEqual([true, false]);
    const thrice = refuse(once, 2, manner, 0);
    expect(isWaiting(thrice, 0)).toBe(false);
    expect(thrice).toMatchObject({ failuresTotal: 3, failedInRow: 3, failure: { message: 'no' } });

    const found = [failure('db'), failure('web')];
    const other = look(thrice, found, manner, MINUTE_MS);
    expect(other.sent).toEqual(['web open']);
    expect(look(other.record, found, manner, 59 * MINUTE_MS).sent).toEqual([]);
    const later = look(other.record, found, manner, 60 * MINUTE_MS);
    expect(later.sent).toEqual(['db open']);
    expect(later.record.refused).toEqual({});
  });

  test('does not end an alert that went before it', () => {
    const { record } = look(NOTHING_TOLD, [failure('db')], ALERTS, 0);
    const refused = refuse(follow(record, [], ALERTS, 1), 3, ALERTS, 1);
    const again = failure('db', { about: 'verification' });
    const next = follow(refused, [again], ALERTS, 2);
    const [[news] = []] = planMessages(next, ALERTS, 2);
    expect(news).toMatchObject({ tells: 'open', incident: { about: 'verification' } });
    const sent = markSent(next, news === undefined ? [] : [news], 2);
    // Nobody looked since.
    expect(planMessages(sent, ALERTS, 61 * MINUTE_MS)).toEqual([]);
    expect(follow(sent, [again], ALERTS, 3).refused).toEqual({});
    expect(look(sent, [], ALERTS, 4).sent).toEqual(['db over']);
  });
});

describe('a channel that is dead', () => {
  test('is left alone for longer each time, as long as it says, at most an hour', () => {
    const failed = { message: 'it hangs', retryAfterMs: null };
    let record = markFailed(NOTHING_TOLD, failed, 0);
    expect(record).toMatchObject({ failuresTotal: 1, failedInRow: 1 });
    expect([29_999, 30_000].map((ms) => isWaiting(record, ms))).toEqual([true, false]);
    record = markFailed(record, failed, 30_000);
    expect([89_999, 90_000].map((ms) => isWaiting(record, ms))).toEqual([true, false]);
    record = markFailed(record, { ...failed, retryAfterMs: 600_000 }, 90_000);
    expect([689_999, 690_000].map((ms) => isWaiting(record, ms))).toEqual([true, false]);
    record = markFailed(record, { ...failed, retryAfterMs: 1e12 }, 0);
    expect([3_599_999, 3_600_000].map((ms) => isWaiting(record, ms))).toEqual([true, false]);
    // The clock was set back by days.
    expect(isWaiting(record, -1e9)).toBe(false);
  });

  test('is well after a message arrived, and keeps how often it failed', () => {
    const failed = markFailed(NOTHING_TOLD, { message: 'no', retryAfterMs: null }, 0);
    const { record } = look(failed, [failure('db')], PEOPLE, 1);
    expect(record).toMatchObject({ failuresTotal: 1, failedInRow: 0, failure: null });
  });

  test('keeps a bounded number of news that are over, and all that last', () => {
    let record = NOTHING_TOLD;
    for (let round = 0; round < 30; round += 1) {
      const found = Array.from({ length: 20 }, (_, index) => failure(`r${round}-${index}`));
      record = follow(record, [...found, failure('db')], EVENTS, round);
    }
    expect(record.incidents).toHaveLength(521);
    expect(record.incidents.filter(({ source }) => source === 'db')).toHaveLength(1);
  });
});
