import { describe, expect, test } from 'vitest';
import { forgetSource } from '../../../src/jobs/forget.ts';
import { knownSources, recordSource } from '../../../src/store/known-sources.ts';
import { readScheduleState, writeScheduleState } from '../../../src/store/schedule-state.ts';
import { sampleApp } from '../../support/app.ts';
import { backupId, commitBackup, emptyCatalog, sampleJob } from '../../support/storage.ts';

const never = new AbortController().signal;

describe('forget', () => {
  test('forgets a source that is gone, and keeps its backups', async () => {
    await using fixture = await emptyCatalog();
    const { catalog, dir } = fixture;
    await commitBackup(catalog, { id: backupId(1) });
    await recordSource(dir, sampleJob());
    await recordSource(dir, sampleJob({ source: 'other' }));
    const at = '2026-01-01T00:00:00.000Z';
    await writeScheduleState(dir, 'db', { firstSeenAt: at, handledUntil: null });
    const app = sampleApp(fixture);
    expect(await forgetSource('db', app, never)).toEqual({ source: 'db', backups: 1 });
    expect((await knownSources(dir)).map(({ source }) => source)).toEqual(['other']);
    expect(await readScheduleState(dir, 'db')).toBeNull();
    expect(await catalog.entries('db')).toHaveLength(1);
    await expect(forgetSource('db', app, never)).rejects.toMatchObject({
      code: 'source-not-found',
      hint: 'Sources that are remembered: other.',
    });
  });

  test('refuses a source that is configured, also where its configuration is wrong', async () => {
    await using fixture = await emptyCatalog();
    await recordSource(fixture.dir, sampleJob());
    const there = sampleApp({ ...fixture, jobs: [sampleJob()] });
    await expect(forgetSource('db', there, never)).rejects.toMatchObject({ code: 'usage' });
    const problem = { source: 'db', option: 'backupd.keep', message: 'wrong', hint: null } as const;
    const wrong = sampleApp({ ...fixture, problems: [{ ...problem, severity: 'source' }] });
    await expect(forgetSource('db', wrong, never)).rejects.toMatchObject({ code: 'usage' });
    expect(await knownSources(fixture.dir)).toHaveLength(1);
  });

  test('refuses where Docker cannot say whether it is gone', async () => {
    await using fixture = await emptyCatalog();
    await recordSource(fixture.dir, sampleJob());
    const docker = { code: 'target-unavailable', message: 'no socket', hint: null } as const;
    const app = sampleApp({ ...fixture, docker });
    await expect(forgetSource('db', app, never)).rejects.toMatchObject({
      code: 'target-unavailable',
    });
    expect(await knownSources(fixture.dir)).toHaveLength(1);
  });
});
