import { expect, test } from 'vitest';
import { lifecycle } from '../../../src/config/destination-formats.ts';

test.each([
  ['glacier:30d,expire:90d', [['GLACIER', 30]], 90],
  ['expire:7d', [], 7],
  // What is kept for long is archived late, what was given up goes early.
  ['expire:30d, glacier:90d', [['GLACIER', 90]], 30],
  [
    'deep-archive:180d,glacier:30d',
    [
      ['GLACIER', 30],
      ['DEEP_ARCHIVE', 180],
    ],
    null,
  ],
  ['WARM-TIER:10d', [['WARM-TIER', 10]], null],
] as const)('%s', (text, moves, expireDays) => {
  expect(lifecycle.parse(text)).toEqual({
    moves: moves.map(([storageClass, days]) => ({ storageClass, days })),
    expireDays,
  });
});

test.each([
  '',
  'glacier',
  'glacier:30',
  'glacier:0d',
  'cold:30d',
  'expire:1d,expire:2d',
  'glacier:1d,GLACIER:2d',
  'glacier:30d,deep-archive:30d',
])('%j is none', (text) => {
  expect(() => lifecycle.parse(text)).toThrow();
});
