import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { suggest } from '../../../src/core/suggest.ts';

const WORDS = ['backup', 'restore', 'list', 'show', 'status', 'BACKUPD_SCHEDULE'];

describe('suggest', () => {
  it.each([
    ['restroe', 'restore'],
    ['retsore', 'restore'],
    ['bakup', 'backup'],
    ['lst', 'list'],
    ['BACKUPD_SHEDULE', 'BACKUPD_SCHEDULE'],
    ['STATUS', 'status'],
    ['xyzzy', null],
    ['', null],
  ])('%j means %j', (typed, meant) => {
    expect(suggest(typed, WORDS)).toBe(meant);
  });

  it('finds a word with one letter wrong, one missing, one too many or two swapped', () => {
    const word = 'compression';
    fc.assert(
      fc.property(fc.nat(word.length - 2), fc.constantFrom('x', 'y'), (at, letter) => {
        const swapped = word.slice(0, at) + word[at + 1] + word[at] + word.slice(at + 2);
        for (const typed of [
          word.slice(0, at) + letter + word.slice(at + 1),
          word.slice(0, at) + word.slice(at + 1),
          word.slice(0, at) + letter + word.slice(at),
          swapped,
        ]) {
          expect(suggest(typed, [...WORDS, word])).toBe(word);
        }
      }),
    );
  });
});
