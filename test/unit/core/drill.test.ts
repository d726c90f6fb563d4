import { describe, expect, test } from 'vitest';
import type { CatalogEntry, Receipt } from '../../../src/core/catalog-entry.ts';
import {
  addDrill,
  chooseNewest,
  isTurnOfOldest,
  isYes,
  judge,
  NO_DRILLS,
  oldestFirst,
  parseCheck,
  sumUp,
} from '../../../src/core/drill.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import { drillReport } from '../../support/drill-report.ts';
import { sampleManifest } from '../../support/storage.ts';

const AT = '2026-11-22T04:00:00.000Z';
const DRILLED: Receipt = { type: 'drilled', at: AT, ok: true, integrity: 1, recoveryMs: 1000 };

function entry(
  day: number,
  receipts: readonly Receipt[] = [],
  changes: Partial<Manifest> = {},
): CatalogEntry {
  const id = `2026112${day}T020000Z-full-000${day}` as Manifest['id'];
  return { manifest: sampleManifest({ id, ...changes }), receipts };
}

describe('the choice', () => {
  test('is the newest good one that was not drilled yet', () => {
    const suspicious = entry(9, [], { suspicious: true });
    const choice = chooseNewest([suspicious, entry(8, [DRILLED]), entry(7), entry(6)]);
    expect(choice).toMatchObject({ entry: { manifest: { id: entry(7).manifest.id } } });
    expect(choice?.reason).toContain('not drilled yet');
  });

  test('is the newest where all were drilled', () => {
    const choice = chooseNewest([entry(8, [DRILLED]), entry(7, [DRILLED])]);
    expect(choice?.entry.manifest.id).toBe(entry(8).manifest.id);
    expect(choice?.reason).toContain('all of them');
  });

  test('is nothing where none is good', () => {
    expect(chooseNewest([entry(8, [], { kind: 'safety' })])).toBeNull();
  });

  test('is the turn of an old one every fourth time', () => {
    const turns = [0, 1, 2, 3, 4, 5, 6, 7].filter((verdicts) => isTurnOfOldest({ verdicts }));
    expect(turns).toEqual([3, 7]);
  });

  test('of the old ones begins with the oldest', () => {
    const ids = oldestFirst([entry(7), entry(5), entry(6)]).map(({ manifest }) => manifest.id);
    expect(ids).toEqual([5, 6, 7].map((day) => entry(day).manifest.id));
  });
});

describe('a check', () => {
  test.each([
    ['shop: select 1', { kind: 'statement', database: 'shop', statement: 'select 1' }],
    ["select 'a: b'", null],
    ['sales: select 1', null],
    ['exec: test -s /x', { kind: 'command', command: 'test -s /x' }],
  ])('is read: %s', (text, check) => {
    expect(parseCheck(text, ['shop', 'crm'])).toEqual(check);
  });

  test('is about the one database that there is', () => {
    expect(parseCheck('select 1', ['shop'])).toMatchObject({ database: 'shop' });
    expect(parseCheck("select 'a: b'", ['postgres', 'shop'])).toEqual({
      kind: 'statement',
      database: 'shop',
      statement: "select 'a: b'",
    });
    expect(parseCheck('select 1', ['postgres'])).toMatchObject({ database: 'postgres' });
  });

  test.each(['', ' ', 'null', 'NULL', 'false', 'f', '0'])('fails with "%s"', (value) => {
    expect(isYes(value)).toBe(false);
  });

  test.each(['1', 't', 'true', 'no', '0.5', '2026-11-22'])('passes with "%s"', (value) => {
    expect(isYes(value)).toBe(true);
  });
});

describe('what was compared', () => {
  const comparison = { compared: 3, matched: 2, notCompared: ['rows of big'] };
  const difference = { database: 'shop', what: 'rows of orders', expected: 2, actual: 1 };

  test('is summed up', () => {
    const comparisons = new Map([['shop', { ...comparison, differences: [difference] }]]);
    expect(sumUp(['shop', 'crm'], comparisons)).toEqual({
      integrity: 2 / 3,
      differences: [difference],
      notCompared: ['rows of big in "shop"', 'anything of "crm": no facts were recorded'],
    });
  });

  test('has no integrity where it is nothing', () => {
    expect(sumUp(['shop'], new Map())).toMatchObject({ integrity: null, differences: [] });
  });

  test('fails by the table and both values', () => {
    expect(judge([difference], [])?.message).toContain(
      'rows of orders in "shop": 2 when dumped, 1 restored',
    );
    expect(judge([], [{ check: 'select 1', ok: true, found: '1' }])).toBeNull();
  });
});

describe('the record', () => {
  const report = drillReport({ at: AT, id: entry(7).manifest.id });

  test('is not moved by what was skipped', () => {
    const passed = addDrill(NO_DRILLS, report);
    const skipped = { ...report, at: '2026-12-01T04:00:00.000Z', ok: false, skipped: 'no key' };
    expect(addDrill(passed, skipped)).toEqual({ ...passed, last: skipped });
  });

  test('keeps when one passed last', () => {
    const failed = { ...report, at: '2026-12-01T04:00:00.000Z', ok: false };
    expect(addDrill(addDrill(NO_DRILLS, report), failed)).toEqual({
      last: failed,
      lastVerdict: failed,
      lastSuccessAt: AT,
      verdicts: 2,
    });
  });
});
