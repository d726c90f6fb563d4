import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Attempt, Outcome } from '../../../src/core/events.ts';
import type { Job } from '../../../src/core/job.ts';
import type { JournalState, Previous } from '../../../src/core/restorer.ts';
import { countRemoved, readAttempts, recordAttempt } from '../../../src/store/attempts.ts';
import { openCatalog } from '../../../src/store/catalog.ts';
import { journal, readJournal } from '../../../src/store/journal.ts';
import { forgetSource, knownSources, recordSource } from '../../../src/store/known-sources.ts';
import { readPrevious, recordPrevious, removePrevious } from '../../../src/store/previous.ts';
import {
  readScheduleState,
  removeScheduleState,
  writeScheduleState,
} from '../../../src/store/schedule-state.ts';
import { sampleJob, temporaryFolder } from '../../support/storage.ts';

function attempt(number: number, outcome: Outcome): Attempt {
  const at = new Date(Date.UTC(2026, 0, 1, 0, number)).toISOString();
  return { at, finishedAt: at, outcome, trigger: 'schedule', id: null, failure: null };
}

describe('attempts', () => {
  test('are remembered newest first, fifty of them, and counted for ever', async () => {
    await using folder = await temporaryFolder();
    const { dir } = folder;
    expect(await readAttempts(dir, 'db')).toEqual({
      attempts: [],
      totals: { success: 0, failed: 0, skipped: 0, interrupted: 0 },
      removedTotal: 0,
    });
    for (let number = 0; number < 53; number += 1) {
      await recordAttempt(dir, 'db', attempt(number, number % 10 === 0 ? 'failed' : 'success'));
    }
    await countRemoved(dir, 'db', 4);
    await countRemoved(dir, 'db', 1);
    const record = await readAttempts(dir, 'db');
    expect(record.attempts).toHaveLength(50);
    expect(record.attempts[0]).toEqual(attempt(52, 'success'));
    expect(record.attempts[49]).toEqual(attempt(3, 'success'));
    expect(record.totals).toEqual({ success: 47, failed: 6, skipped: 0, interrupted: 0 });
    expect(record.removedTotal).toBe(5);
    expect((await readAttempts(dir, 'other')).removedTotal).toBe(0);
  });

  test('of several runs that end at once are all counted', async () => {
    await using folder = await temporaryFolder();
    const { dir } = folder;
    await Promise.all(
      [1, 2, 3, 4, 5].map((number) => recordAttempt(dir, 'db', attempt(number, 'success'))),
    );
    const record = await readAttempts(dir, 'db');
    expect(record.totals.success).toBe(5);
    expect(record.attempts).toHaveLength(5);
  });

  test.each(['{"attempts": [', '{"attempts": 1}', ''])(
    'go on after damage (%j), which is set aside and told',
    async (text) => {
      await using folder = await temporaryFolder();
      const { dir } = folder;
      const path = join(dir, '.backupd', 'attempts', 'db.json');
      await mkdir(join(dir, '.backupd', 'attempts'), { recursive: true });
      await writeFile(path, text);
      expect((await readAttempts(dir, 'db')).attempts).toEqual([]);
      await recordAttempt(dir, 'db', attempt(1, 'failed'));
      expect((await readAttempts(dir, 'db')).totals.failed).toBe(1);
      expect(await readFile(`${path}.damaged`, 'utf8')).toBe(text);
      const problems = await openCatalog({ dir, namespace: 'demo' }).problems();
      expect(problems.map((problem) => problem.path)).toEqual([`${path}.damaged`]);
    },
  );
});

const target = {
  containerId: '1',
  container: 'demo-db-1',
  image: 'postgres:17',
  imageId: 'sha256:1',
  repoDigests: [],
};

describe('a journal', () => {
  test('is read as it was written last, until it is cleared', async () => {
    await using folder = await temporaryFolder();
    const log = journal(folder.dir, 'db');
    const state: JournalState = {
      step: 'building',
      source: 'db',
      engine: 'postgres',
      target,
      run: 'r1',
    };
    expect(await readJournal(folder.dir, 'db')).toBeNull();
    await log.write({ ...state, run: 'r0' });
    await log.write(state);
    expect(await readJournal(folder.dir, 'db')).toEqual(state);
    expect(await readJournal(folder.dir, 'other')).toBeNull();
    await log.clear();
    await log.clear();
    expect(await readJournal(folder.dir, 'db')).toBeNull();
  });

  test.each(['{', '{}', 'null', '{"step":"building","source":"other"}'])(
    'that cannot be understood (%s) is never taken for none',
    async (text) => {
      await using folder = await temporaryFolder();
      await mkdir(join(folder.dir, '.backupd', 'journals'), { recursive: true });
      await writeFile(join(folder.dir, '.backupd', 'journals', 'db.json'), text);
      await expect(readJournal(folder.dir, 'db')).rejects.toMatchObject({
        code: 'storage-unavailable',
      });
    },
  );
});

test('what restores kept is read newest first, and forgotten one by one', async () => {
  await using folder = await temporaryFolder();
  const { dir } = folder;
  function previous(run: string, replacedAt: string): Previous {
    return { run, source: 'db', engine: 'postgres', target, replacedAt, databases: [] };
  }
  const one = previous('20261122T020000Z-0001', '2026-11-22T02:00:00.000Z');
  const two = previous('a/run with/slashes', '2026-11-22T03:00:00.000Z');
  const three = previous('20261122T020000Z-0003', '2026-11-21T02:00:00.000Z');
  expect(await readPrevious(dir, 'db')).toEqual([]);
  for (const each of [one, two, three, one]) {
    await recordPrevious(dir, each);
  }
  expect(await readPrevious(dir, 'db')).toEqual([two, one, three]);
  expect(await readPrevious(dir, 'other')).toEqual([]);
  await removePrevious(dir, 'db', two.run);
  await removePrevious(dir, 'db', two.run);
  expect(await readPrevious(dir, 'db')).toEqual([one, three]);
});

describe('known sources', () => {
  test('are remembered until they are forgotten', async () => {
    await using folder = await temporaryFolder();
    const { dir } = folder;
    const [db, other]: [Job, Job] = [sampleJob({ source: 'db' }), sampleJob({ source: 'a.b' })];
    expect(await knownSources(dir)).toEqual([]);
    await recordSource(dir, db);
    await recordSource(dir, other);
    expect(await knownSources(dir)).toEqual([other, db]);
    await forgetSource(dir, 'db');
    await forgetSource(dir, 'db');
    expect(await knownSources(dir)).toEqual([other]);
  });

  test('are written only when they changed', async () => {
    await using folder = await temporaryFolder();
    const { dir } = folder;
    const path = join(dir, '.backupd', 'sources', 'db.json');
    await recordSource(dir, sampleJob());
    const { ino } = await stat(path);
    await recordSource(dir, sampleJob());
    expect((await stat(path)).ino).toBe(ino);
    await recordSource(dir, sampleJob({ user: 'somebody' }));
    expect((await knownSources(dir))[0]?.user).toBe('somebody');
    expect(await readdir(join(dir, '.backupd', 'sources'))).toEqual(['db.json']);
  });

  test('leave out what is none', async () => {
    await using folder = await temporaryFolder();
    await recordSource(folder.dir, sampleJob());
    for (const [name, text] of [
      ['a', '{'],
      ['b', '{"source":"../b"}'],
      ['c', 'null'],
    ]) {
      await writeFile(join(folder.dir, '.backupd', 'sources', `${name}.json`), String(text));
    }
    expect((await knownSources(folder.dir)).map((job) => job.source)).toEqual(['db']);
  });
});

test('the state of a schedule is kept, and none where it is damaged', async () => {
  await using folder = await temporaryFolder();
  const { dir } = folder;
  const at = '2026-01-01T00:00:00.000Z';
  expect(await readScheduleState(dir, 'db')).toBeNull();
  await writeScheduleState(dir, 'db', { firstSeenAt: at, handledUntil: null });
  expect(await readScheduleState(dir, 'db')).toEqual({ firstSeenAt: at, handledUntil: null });
  await writeScheduleState(dir, 'db', { firstSeenAt: at, handledUntil: at });
  expect(await readScheduleState(dir, 'db')).toEqual({ firstSeenAt: at, handledUntil: at });
  for (const text of ['{', '{"firstSeenAt":"never","handledUntil":null}', '[]']) {
    await writeFile(join(dir, '.backupd', 'schedule', 'db.json'), text);
    expect(await readScheduleState(dir, 'db')).toBeNull();
  }
  await removeScheduleState(dir, 'db');
  expect(await readScheduleState(dir, 'db')).toBeNull();
});
