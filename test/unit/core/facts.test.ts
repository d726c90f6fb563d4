import { describe, expect, it } from 'vitest';
import { compareFacts, type DatabaseFacts, type TableFact } from '../../../src/core/facts.ts';

function facts(tables: Readonly<Record<string, TableFact>>): DatabaseFacts {
  return { sizeBytes: null, tables, sequences: { 'public.s': '7' }, objects: { views: 2 } };
}
const THREE: TableFact = { rows: 3, exact: true };

describe('compareFacts', () => {
  it('matches what is the same', () => {
    expect(compareFacts('shop', facts({ a: THREE }), facts({ a: THREE }))).toEqual({
      compared: 3,
      matched: 3,
      differences: [],
      notCompared: [],
    });
  });

  it.each([
    ['rows are missing', { a: THREE }, { a: { rows: 2, exact: true } }, ['rows of a', 3, 2]],
    [
      'rows cannot be counted',
      { a: THREE },
      { a: { rows: 3, exact: false } },
      ['rows of a', 3, null],
    ],
    ['a table is missing', { a: THREE }, {}, ['table a', 'present', null]],
    ['a table is too many', {}, { a: THREE }, ['table a', null, 'present']],
  ] as const)('tells where %s', (_case, before, after, [what, expected, actual]) => {
    expect(compareFacts('shop', facts(before), facts(after)).differences).toEqual([
      { database: 'shop', what, expected, actual },
    ]);
  });

  it('tells sequences and numbers of other objects', () => {
    const changed = { ...facts({}), sequences: {}, objects: { views: 2, functions: 1 } };
    expect(compareFacts('shop', facts({}), changed).differences).toEqual([
      { database: 'shop', what: 'sequence public.s', expected: '7', actual: null },
      { database: 'shop', what: 'functions', expected: 0, actual: 1 },
    ]);
  });

  it('names what was only estimated, and does not compare it', () => {
    const estimate = { rows: 100, exact: false };
    expect(compareFacts('shop', facts({ a: estimate }), facts({ a: THREE }))).toMatchObject({
      differences: [],
      notCompared: ['rows of a'],
    });
  });
});
