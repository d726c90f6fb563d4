import { expect, test } from 'vitest';
import { describeEarlyDeletion } from '../../../src/core/lifecycle.ts';

const TO_GLACIER = { storageClass: 'GLACIER', days: 30 };

test.each([
  ['the standard class', null, null, []],
  [
    'a class alone',
    'STANDARD_IA',
    null,
    [
      'STANDARD_IA bills 30 days at least: what retention removes before that pays the rest in vain',
    ],
  ],
  [
    'an early expiry',
    'STANDARD_IA',
    { moves: [], expireDays: 7 },
    ['STANDARD_IA bills 30 days at least: what is deleted on day 7 pays 23 of them in vain'],
  ],
  [
    'a move and an expiry',
    'STANDARD_IA',
    { moves: [TO_GLACIER], expireDays: 90 },
    [
      'STANDARD_IA bills 30 days at least: nothing is deleted before that',
      'GLACIER bills 90 days at least, so to day 120: what is deleted on day 90 pays 30 of them in vain',
    ],
  ],
  [
    'a move that is too early',
    'STANDARD_IA',
    { moves: [{ ...TO_GLACIER, days: 10 }], expireDays: 365 },
    [
      'STANDARD_IA bills 30 days at least: the move to GLACIER pays 20 of them in vain',
      'GLACIER bills 90 days at least, so to day 100: nothing is deleted before that',
    ],
  ],
  [
    'an archive without an expiry',
    null,
    { moves: [TO_GLACIER], expireDays: null },
    [
      'GLACIER bills 90 days at least, so to day 120: what retention removes before that pays the rest in vain',
    ],
  ],
])('what early deletion costs: %s', (_, storageClass, lifecycle, expected) => {
  expect(describeEarlyDeletion(storageClass, lifecycle)).toEqual(expected);
});
