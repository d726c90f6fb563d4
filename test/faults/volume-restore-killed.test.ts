import { afterAll, beforeAll, expect, test } from 'vitest';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openCommandBox, type CommandBox } from '../support/command-box.ts';
import { testVolume, type TestVolume } from '../support/test-container.ts';
import {
  fingerprintVolume,
  helpersOf,
  inVolume,
  ownPlaces,
  type VolumeFingerprint,
} from '../support/volume.ts';

/** Some directories and files, so that a swap has several things to move. */
const FILL = `
  chown 33:33 .; mkdir -p a/b c; for i in {1..20}; do echo "$i" >"file $i"; done
  echo deep >a/b/deep; ln "file 1" c/linked; ln -s a link; chmod 2770 c`;
const CHANGES = `chmod 700 .; rm -r c "file 3"; echo changed >"file 4"; mkdir new; echo new >new/file; ln -sfn c link`;

let volume: TestVolume;
let box: CommandBox;
let id: string;
let backedUp: VolumeFingerprint;
let changed: VolumeFingerprint;

beforeAll(async () => {
  volume = await testVolume();
  await inVolume(volume.name, FILL);
  box = await openCommandBox({ BACKUPD_SOURCES: `data=volume://${volume.name}` });
  const { runs } = await box.json<{ readonly runs: readonly { readonly id: string }[] }>([
    'backup',
    'data',
    '--pin',
  ]);
  id = runs[0]?.id ?? '';
  backedUp = await fingerprintVolume(volume.name);
  await inVolume(volume.name, CHANGES);
  changed = await fingerprintVolume(volume.name);
  expect(changed).not.toEqual(backedUp);
});

afterAll(async () => {
  await box[Symbol.asyncDispose]();
  await volume[Symbol.asyncDispose]();
});

type State = 'backed up' | 'changed';

async function done(args: readonly string[]): Promise<void> {
  const ended = await box.backupd(args);
  expect(ended.exitCode, ended.stderr).toBe(0);
}

async function dieAt(step: string, args: readonly string[]): Promise<void> {
  const marker = join(box.dir, '.killed-at');
  await rm(marker, { force: true });
  const died = await box.backupd(args, { killAt: step });
  expect(died, died.stderr).toMatchObject({ exitCode: 137 });
  expect(await readFile(marker, 'utf8')).toBe(step);
}

/** Wholly the one or wholly the other. */
async function readState(): Promise<State> {
  const found = await fingerprintVolume(volume.name);
  const state = found.some((line) => line.startsWith('./new/file|')) ? 'changed' : 'backed up';
  expect(found).toEqual(state === 'changed' ? changed : backedUp);
  return state;
}

async function reset(): Promise<void> {
  if ((await readState()) === 'backed up') {
    await done(['restore', 'data', '--undo']);
    expect(await readState()).toBe('changed');
  }
  if ((await ownPlaces(volume.name)).length > 0) {
    await done(['restore', 'data', '--drop-previous', '--yes']);
  }
  expect(await ownPlaces(volume.name)).toEqual([]);
}

/** The next life has put everything right, and left no container behind. */
async function expectSettled(state: State, places: number): Promise<void> {
  await done(['backup', 'data']);
  expect(await readState()).toBe(state);
  expect(await ownPlaces(volume.name)).toHaveLength(places);
  expect(await helpersOf(volume.name)).toEqual([]);
}

test.each<readonly [string, State]>([
  ['beside-loaded', 'changed'],
  ['swap-prepared', 'changed'],
  ['swap-moved', 'backed up'],
  ['swap-finished', 'backed up'],
])('killed at %s of a restore: the volume is as it was %s', async (step, state) => {
  await reset();
  await dieAt(step, ['restore', 'data', '--at', id, '--yes']);
  await expectSettled(state, state === 'backed up' ? 1 : 0);
});

test.each<readonly [string, State]>([
  ['swap-prepared', 'backed up'],
  ['swap-moved', 'changed'],
])('killed at %s of an undo: the volume is as it was %s', async (step, state) => {
  await reset();
  await done(['restore', 'data', '--at', id, '--yes']);
  await dieAt(step, ['restore', 'data', '--undo', '--yes']);
  await expectSettled(state, 1);
});

test.each<readonly [string, State, string]>([
  // As if what moves things had died in their midst, which nothing here can do at the same point each time.
  [
    'swap-journaled',
    'changed',
    'stamp=$(stat -c %y ..); mkdir -p old/files old/root; mv ../file* old/files; chown 33:33 old/root; chmod 700 old/root; touch -d "$stamp" old/root',
  ],
  ['swap-moved', 'backed up', 'mv incoming/files/file* ..'],
])(
  'killed at %s with a half of everything moved: the volume is as it was %s',
  async (step, state, half) => {
    await reset();
    await dieAt(step, ['restore', 'data', '--at', id, '--yes']);
    const [place] = await ownPlaces(volume.name);
    await inVolume(volume.name, `cd '${place ?? ''}'; ${half}`);
    await expectSettled(state, state === 'backed up' ? 1 : 0);
  },
);

test('killed in a backup: the next run removes the container that it left', async () => {
  await dieAt('archive-written', ['backup', 'data']);
  expect(await helpersOf(volume.name)).toHaveLength(1);
  await done(['backup', 'data']);
  expect(await helpersOf(volume.name)).toEqual([]);
});
