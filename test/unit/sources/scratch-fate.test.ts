import { expect, test } from 'vitest';
import { CannotDrill } from '../../../src/core/drill.ts';
import { explainState } from '../../../src/sources/scratch-fate.ts';

const RUNS = { runs: true, exitCode: 0, outOfMemory: false, said: '' };
const ENDED = { ...RUNS, runs: false, said: 'PANIC' };

test.each([
  ['a process of one that runs on', { ...RUNS, outOfMemory: true }],
  ['all of one', { ...ENDED, exitCode: 137, outOfMemory: true }],
])('too little memory is no fault of the backup: %s', (_, state) => {
  const fate = explainState(state, 512_000_000);
  expect(fate).toBeInstanceOf(CannotDrill);
  expect(fate).toMatchObject({ code: 'no-space' });
  expect(fate?.message).toContain('more than its 512 MB');
});

test.each([0, 137, 143])('one that was stopped is no fault of the backup: %i', (exitCode) => {
  expect(explainState({ ...ENDED, exitCode }, 1)).toBeInstanceOf(CannotDrill);
});

test('one whose server ended by itself says how', () => {
  const fate = explainState({ ...ENDED, exitCode: 139 }, 1);
  expect(fate).not.toBeInstanceOf(CannotDrill);
  expect(fate).toMatchObject({ code: 'restore-failed' });
  expect(fate?.message).toContain('ended with 139 while it was used: PANIC');
});

test('one that runs is as it should be', () => {
  expect(explainState(RUNS, 1)).toBeNull();
});
