import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  follow,
  markFailed,
  markRefused,
  markSent,
  NOTHING_TOLD,
  occurrenceKey,
  planMessages,
  type ChannelRecord,
  type Manner,
  type News,
} from '../../../src/core/alarm-record.ts';
import { ALARM_EVENTS } from '../../../src/core/incident.ts';
import { failure } from '../../support/incidents.ts';

const SOURCES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const;
const MINUTE_MS = 60_000;

/** What happens between two looks: which sources are wrong then, and what becomes of what is sent. */
const round = fc.record({
  wrong: fc.subarray([...SOURCES]),
  fate: fc.constantFrom('arrives', 'arrives', 'fails', 'refused', 'refused', 'dies'),
  minutes: fc.integer({ min: 1, max: 30 }),
});
const anyKind = fc.constantFrom<Manner['kind']>('digests', 'events', 'alerts');

interface Told {
  readonly key: string;
  readonly tells: News['tells'];
}

/** Lives through the rounds, and through a quiet end in which everything arrives. @returns what people got */
function live(
  rounds: readonly { wrong: readonly string[]; fate: string; minutes: number }[],
  kind: Manner['kind'],
): {
  readonly got: readonly Told[];
  readonly begun: readonly string[];
  readonly atMs: readonly number[];
} {
  const manner: Manner = { kind, on: ALARM_EVENTS, namespace: 'shop' };
  let record: ChannelRecord = NOTHING_TOLD;
  let nowMs = Date.parse('2026-11-28T00:00:00Z');
  const got: Told[] = [];
  const atMs: number[] = [];
  const begun = new Set<string>();
  let refusals = 0;
  const quiet = Array.from({ length: 4 }, () => ({ wrong: [], fate: 'arrives', minutes: 30 }));
  for (const { wrong, fate, minutes } of [...rounds, ...quiet]) {
    nowMs += minutes * MINUTE_MS;
    const found = wrong.map((source) => failure(source, { since: null }));
    record = follow(record, found, manner, nowMs);
    for (const incident of record.incidents) {
      begun.add(occurrenceKey(incident));
    }
    for (let [next] = planMessages(record, manner, nowMs); next !== undefined;) {
      if (fate === 'fails') {
        record = markFailed(record, { message: 'no', retryAfterMs: null }, nowMs);
        break;
      }
      if (fate === 'refused') {
        refusals += 1;
        expect(refusals, 'refusals without an end').toBeLessThan(2000);
        record = markRefused(record, next, { message: 'no', retryAfterMs: null }, nowMs);
        [next] = planMessages(record, manner, nowMs);
        continue;
      }
      expect(atMs.length, 'messages without an end').toBeLessThan(2000);
      got.push(...next.map(({ incident, tells }) => ({ key: occurrenceKey(incident), tells })));
      atMs.push(nowMs);
      if (fate === 'dies') {
        // It was sent, and that is not written down.
        break;
      }
      record = markSent(record, next, nowMs);
      [next] = planMessages(record, manner, nowMs);
    }
  }
  expect(record.incidents).toEqual([]);
  return { got, begun: [...begun], atMs };
}

/** Whether two occurrences are of one alarm: their keys differ in their last part, when they began. */
function isSame(one: string, other: string): boolean {
  return one.slice(0, one.lastIndexOf('/')) === other.slice(0, other.lastIndexOf('/'));
}

test('whatever happens, every incident is told at least once, and that it is over behind it', () => {
  fc.assert(
    fc.property(fc.array(round, { maxLength: 30 }), anyKind, (rounds, kind) => {
      const { got, begun } = live(rounds, kind);
      for (const key of begun) {
        const told = got.filter((each) => each.key === key).map(({ tells }) => tells);
        const [first] = told;
        expect(first === 'open' || first === 'both').toBe(true);
        // An alert goes on where the same trouble comes back before it was ended.
        const same = got.filter((each) => isSame(each.key, key)).map(({ tells }) => tells);
        expect(['over', 'both']).toContain((kind === 'alerts' ? same : told).at(-1));
      }
    }),
    { numRuns: 500 },
  );
});

test('where nothing is lost, exactly once', () => {
  fc.assert(
    fc.property(fc.array(round, { maxLength: 30 }), anyKind, (rounds, kind) => {
      const safe = rounds.map((each) => ({
        ...each,
        fate: each.fate === 'dies' ? 'fails' : each.fate,
      }));
      const { got } = live(safe, kind);
      const texts = got.map(({ key, tells }) => `${key} ${tells}`);
      expect(new Set(texts).size).toBe(texts.length);
    }),
    { numRuns: 500 },
  );
});

test('people never get more than six messages in ten minutes', () => {
  fc.assert(
    fc.property(fc.array(round, { maxLength: 60 }), (rounds) => {
      const quick = rounds.map((each) => ({ ...each, minutes: 1, fate: 'arrives' }));
      const { atMs } = live(quick, 'digests');
      for (const at of atMs) {
        const within = atMs.filter((other) => other >= at && other < at + 10 * MINUTE_MS);
        expect(within.length).toBeLessThanOrEqual(6);
      }
    }),
    { numRuns: 300 },
  );
});
