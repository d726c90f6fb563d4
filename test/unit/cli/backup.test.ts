import { describe, expect, it } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import type { BackupId } from '../../../src/core/layout.ts';
import { boundSource } from './paper-source.ts';
import { fakeApp, run } from './support.ts';

describe('backup', () => {
  it('backs up every source, goes on when one fails, and ends with the first failure', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(
      boundSource('a', {
        dump: new BackupdError('dump-failed', 'pg_dump broke', { hint: 'Mend it.' }),
      }),
      boundSource('b', { dump: new BackupdError('timeout', 'too slow') }),
      boundSource('c', { dump: 'some rows' }),
    );
    const { exitCode, err, json } = await run(fake, 'backup --json');
    expect(exitCode).toBe(21);
    expect(err).toBe('');
    expect(json()).toEqual({
      runs: [
        {
          source: 'a',
          engine: 'postgres',
          outcome: 'failed',
          id: null,
          startedAt: expect.stringMatching(/^\d{4}-.*Z$/) as unknown,
          durationMs: expect.any(Number) as unknown,
          storedBytes: null,
          dumpBytes: null,
          warnings: [],
          error: { code: 'dump-failed', message: 'pg_dump broke', hint: 'Mend it.' },
        },
        expect.objectContaining({ source: 'b', outcome: 'failed' }),
        {
          source: 'c',
          engine: 'postgres',
          outcome: 'success',
          id: expect.stringMatching(/-full-/) as unknown,
          startedAt: expect.any(String) as unknown,
          durationMs: expect.any(Number) as unknown,
          storedBytes: 9,
          dumpBytes: 9,
          warnings: [{ code: 'skipped', message: 'database "x" was skipped' }],
          error: null,
        },
      ],
    });
  });

  it('says for people what was backed up and what failed', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(
      boundSource('a', {
        dump: new BackupdError('dump-failed', 'pg_dump broke', { hint: 'Mend it.' }),
      }),
      boundSource('b', { dump: 'some rows' }),
    );
    const { out, err } = await run(fake, 'backup');
    expect(out).toMatch(/^backed up b: \d{8}T\d{6}Z-full-[0-9a-f]{4}, 9 B \(9 B dumped\) in 0s\n$/);
    expect(err).toBe(
      'error: a: pg_dump broke\nhint: Mend it.\nwarning: b: database "x" was skipped\n',
    );
  });

  it('backs up the named ones in their order, and pins', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('a'), boundSource('b'), boundSource('c'));
    const { exitCode, json } = await run(fake, 'backup c a --pin --json');
    expect(exitCode).toBe(0);
    expect(json()).toMatchObject({ runs: [{ source: 'c' }, { source: 'a' }] });
    expect((await run(fake, 'list c --json')).json()).toMatchObject([{ pins: ['by-hand'] }]);
    expect((await run(fake, 'list b --json')).exitCode).toBe(16);
  });

  it('runs nothing where a named source is unknown, and names what there is', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('b'), boundSource('a'));
    const { exitCode, out, err } = await run(fake, 'backup a typo');
    expect({ exitCode, out }).toEqual({ exitCode: 16, out: '' });
    expect(err).toBe('error: there is no source "typo"\nhint: There are: a, b.\n');
    expect(await fake.app.context.catalog.all()).toEqual([]);
  });

  it('is a configuration error where there is no source at all', async () => {
    await using fake = await fakeApp();
    const { exitCode, out, err } = await run(fake, 'backup --json');
    expect({ exitCode, out }).toEqual({ exitCode: 3, out: '' });
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'config-invalid', exitCode: 3 } });
  });

  it('counts a source whose configuration is wrong as a failure, not as absent', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('good'));
    fake.discovery.problems.push({
      source: 'bad',
      option: 'backupd.keep on container "bad-1"',
      message: '"x" is not valid',
      hint: null,
      severity: 'source',
    });
    const { exitCode, json } = await run(fake, 'backup --json');
    expect(exitCode).toBe(3);
    expect(json()).toMatchObject({
      runs: [
        { source: 'bad', engine: null, outcome: 'failed', error: { code: 'config-invalid' } },
        { source: 'good', outcome: 'success' },
      ],
    });
  });

  it('says that Docker is away where that may be why a source is not found', async () => {
    await using fake = await fakeApp();
    fake.discovery.docker = { code: 'target-unavailable', message: 'no socket', hint: 'Mount it.' };
    fake.discovery.sources.push(boundSource('named'));
    expect((await run(fake, 'backup')).exitCode).toBe(20);
    expect((await run(fake, 'backup other')).err).toBe('error: no socket\nhint: Mount it.\n');
    expect((await run(fake, 'backup named')).exitCode).toBe(0);
  });

  it('reports retention that holds as a warning of a backup that is good', async () => {
    await using fake = await fakeApp();
    for (let day = 10; day < 16; day += 1) {
      await fake.add({
        id: `202611${day}T020000Z-full-0001` as BackupId,
        startedAt: `2026-11-${day}T02:00:00.000Z`,
      });
    }
    const bound = boundSource('db');
    const keep = { all: false, last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
    fake.discovery.sources.push({
      ...bound,
      job: { ...bound.job, keep: { ...keep, all: false, withinMs: 0 } },
    });
    const { exitCode, json } = await run(fake, 'backup --json');
    expect(exitCode).toBe(0);
    expect(json()).toMatchObject({
      runs: [{ outcome: 'success', error: null, warnings: [{}, { code: 'prune-held' }] }],
    });
    expect(await fake.app.context.catalog.entries('db')).toHaveLength(7);
  });
});
