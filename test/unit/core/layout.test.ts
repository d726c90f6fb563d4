import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeName,
  formatBackupId,
  isBackupId,
  KINDS,
  parseBackupId,
  resolveId,
} from '../../../src/core/layout.ts';

const instants = fc.date({
  min: new Date('1970-01-01T00:00:00Z'),
  max: new Date('9999-12-31T23:59:59Z'),
  noInvalidDate: true,
});
const parts = fc.record({
  startedAt: instants.map((date) => new Date(Math.floor(date.getTime() / 1000) * 1000)),
  kind: fc.constantFrom(...KINDS),
  suffix: fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16).padStart(4, '0')),
});

test('an id is read back as it was made', () => {
  fc.assert(
    fc.property(parts, (made) => {
      expect(parseBackupId(formatBackupId(made))).toEqual(made);
    }),
  );
});

test('ids sort as their instants do', () => {
  fc.assert(
    fc.property(parts, parts, (one, other) => {
      fc.pre(one.startedAt.getTime() < other.startedAt.getTime());
      expect(formatBackupId(one) < formatBackupId(other)).toBe(true);
    }),
  );
});

test.each([
  '20261122T020000Z-full-3FA9',
  '20261322T020000Z-full-3fa9',
  '20260230T020000Z-full-3fa9',
  '20261122T250000Z-full-3fa9',
  '20261122T020000Z-whole-3fa9',
  '20261122T020000Z-full-3fa9.partial',
  '../20261122T020000Z-full-3fa9',
])('%s is no id', (text) => {
  expect(isBackupId(text)).toBe(false);
});

test('a name in a file name is safe on any file system, and its own', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      (one, other) => {
        const encoded = encodeName(one);
        expect(encoded).toMatch(/^[a-z0-9_%A-F~-]*$/);
        expect(encoded.length).toBeLessThan(230);
        expect(encodeName(other) === encoded).toBe(other === one);
        // Also where upper and lower case are one.
        expect(encodeName(other).toLowerCase() === encoded.toLowerCase()).toBe(other === one);
      },
    ),
  );
});

test('long names that begin alike stay apart', () => {
  const long = 'ä'.repeat(60);

  expect(encodeName(`${long}a`)).not.toBe(encodeName(`${long}b`));
});

test('the beginning of one id is that id, and of two none', () => {
  const ids = ['20261122T020000Z-full-3fa9', '20261123T020000Z-full-3fa9'].filter(isBackupId);

  expect(resolveId('20261122', ids)).toBe(ids[0]);
  expect(() => resolveId('202611', ids)).toThrow(expect.objectContaining({ code: 'usage' }));
  expect(() => resolveId('2025', ids)).toThrow(
    expect.objectContaining({ code: 'backup-not-found' }),
  );
});
