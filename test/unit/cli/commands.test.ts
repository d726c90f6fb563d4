import { describe, expect, it } from 'vitest';
import type { BackupId } from '../../../src/core/layout.ts';
import { boundSource } from './paper-source.ts';
import { fakeApp, run } from './support.ts';

const OLD = '20261121T020000Z-full-0001' as BackupId;
const NEW = '20261122T020000Z-full-3fa9' as BackupId;

describe('list', () => {
  it('has every field of the contract', async () => {
    await using fake = await fakeApp();
    const made = await fake.add({
      files: [
        {
          name: 'shop.dump.zst',
          format: 'pg-custom',
          database: 'shop',
          storedBytes: 1200,
          sha256: 'a'.repeat(64),
          dumpBytes: 3400,
          compression: 'zstd',
        },
      ],
      warnings: [{ code: 'skipped', message: 'x' }],
    });
    await fake.add({ id: OLD, source: 'app', startedAt: '2026-11-21T02:00:00.000Z' });
    await fake.app.context.catalog.addReceipt(
      { manifest: made },
      { type: 'verified', at: '2026-11-23T00:00:00.000Z', depth: 'content' },
    );
    const { exitCode, err, json } = await run(fake, 'list --json');
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(json()).toEqual([
      {
        id: NEW,
        source: 'db',
        engine: 'postgres',
        kind: 'full',
        startedAt: '2026-11-22T02:00:00.000Z',
        finishedAt: '2026-11-22T02:00:04.000Z',
        storedBytes: 1200,
        dumpBytes: 3400,
        databases: ['shop'],
        encryption: { scheme: 'none', keyIds: [] },
        copies: [],
        verifiedAt: '2026-11-23T00:00:00.000Z',
        drilledAt: null,
        pins: [],
        suspicious: false,
        damaged: false,
        warnings: [{ code: 'skipped', message: 'x' }],
      },
      expect.objectContaining({ id: OLD, source: 'app' }),
    ]);
  });

  it('shows names that hold anything in a table that stays one', async () => {
    await using fake = await fakeApp();
    await fake.add({ databases: ['日本\n\u001B[2J', 'b', 'c', 'd', 'e'], suspicious: true });
    const { out } = await run(fake, 'list db');
    expect(out.split('\n')).toHaveLength(3);
    expect(out).toContain(String.raw`日本\n\x1b[2J, b, c, d and 1 more  suspicious`);
  });

  it('names what there is where the source is unknown, and is empty for one without backups', async () => {
    await using fake = await fakeApp();
    expect((await run(fake, 'list --json')).out).toBe('[]\n');
    await fake.add();
    const { exitCode, err } = await run(fake, 'list typo');
    expect({ exitCode, err }).toEqual({
      exitCode: 16,
      err: 'error: there is no source "typo"\nhint: There are: db.\n',
    });
  });
});

describe('pin, unpin, forget', () => {
  it('pins and unpins by a beginning of the id', async () => {
    await using fake = await fakeApp();
    await fake.add();
    expect((await run(fake, 'pin 20261122 --json')).json()).toEqual({
      id: NEW,
      source: 'db',
      pinned: true,
      destinations: [],
    });
    expect((await run(fake, 'unpin 20261122')).out).toBe(`unpinned ${NEW} of db\n`);
    expect((await run(fake, 'pin 2030')).exitCode).toBe(10);
  });

  it('does not forget what is configured or was never there', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('db'));
    expect((await run(fake, 'forget db')).exitCode).toBe(2);
    expect((await run(fake, 'forget other')).exitCode).toBe(16);
  });
});

describe('status, check, config', () => {
  it('status is unhealthy with a source that has no backup, and says the same to programs', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('db'));
    const human = await run(fake, 'status');
    expect(human.exitCode).toBe(4);
    expect(human.out).toMatch(/^db +never/m);
    expect(human.out).toMatch(/not healthy\n$/);
    const { exitCode, err, json } = await run(fake, 'status --json');
    expect({ exitCode, err }).toEqual({ exitCode: 4, err: '' });
    expect(json()).toMatchObject({
      healthy: false,
      sources: [
        {
          source: 'db',
          engine: 'postgres',
          state: 'never',
          lastSuccessAt: null,
          ageSeconds: null,
          sizeBytes: null,
          lastAttempt: null,
          lastRestore: null,
          copies: [],
          lastDrill: null,
          threeTwoOne: { holds: false },
          previous: [],
        },
      ],
      destinations: [],
      problems: [],
    });
  });

  it('status is healthy after a backup', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('db'));
    await run(fake, 'backup');
    const { exitCode, out } = await run(fake, 'status');
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^db +ok/m);
    expect(out).toMatch(/healthy\n$/);
  });

  it('check says what to do where something is not in place', async () => {
    await using fake = await fakeApp();
    const { exitCode, out } = await run(fake, 'check');
    expect(exitCode).toBe(4);
    expect(out).toMatch(/^FAILED {2}sources/m);
    expect(out).toMatch(/^ +hint: /m);
    expect((await run(fake, 'check --json')).json()).toMatchObject({ ok: false });
  });

  it('config shows options, sources and every problem, and fails for a fatal one', async () => {
    const problem = {
      source: null,
      option: 'BACKUPD_KEEP',
      message: '"x" is not valid',
      hint: null,
      severity: 'fatal',
    } as const;
    await using fake = await fakeApp({
      options: [{ name: 'BACKUPD_KEEP', value: 'all', from: 'default' }],
      problems: [problem],
    });
    fake.discovery.sources.push(boundSource('db'));
    fake.discovery.problems.push(problem);
    const { exitCode, err, json } = await run(fake, 'config --json');
    expect({ exitCode, err }).toEqual({ exitCode: 3, err: '' });
    expect(json()).toEqual({
      options: [{ name: 'BACKUPD_KEEP', value: 'all', from: 'default' }],
      sources: [
        {
          source: 'db',
          engine: 'postgres',
          container: 'shop-db-1',
          options: [{ name: 'schedule', value: '0 2 * * *', from: 'default' }],
        },
      ],
      problems: [problem],
      encryption: null,
      keys: null,
      docker: null,
      directory: null,
    });
    const human = await run(fake, 'config');
    expect(human.out).toMatch(/^BACKUPD_KEEP +all +default$/m);
    expect(human.out).toContain('error: BACKUPD_KEEP: "x" is not valid');
  });

  it('report a directory that cannot be opened', async () => {
    const storageFailure = {
      code: 'storage-unavailable',
      message: '/backups is not there',
      hint: 'Mount it.',
    } as const;
    await using fake = await fakeApp({ storageFailure });
    fake.discovery.sources.push(boundSource('db'));

    const status = await run(fake, 'status --json');
    expect(status).toMatchObject({ exitCode: 4, err: '' });
    expect(status.json()).toEqual({
      healthy: false,
      sources: [],
      destinations: [],
      problems: [storageFailure],
    });

    const check = await run(fake, 'check');
    expect(check.exitCode).toBe(4);
    expect(check.out).toMatch(
      /^FAILED {2}directory .*: \/backups is not there\n +hint: Mount it\.$/m,
    );
    expect(check.out).not.toContain('catalog');

    const config = await run(fake, 'config');
    expect(config.exitCode).toBe(0);
    expect(config.out).toContain('error: /backups is not there');
    expect((await run(fake, 'config --json')).json()).toMatchObject({ directory: storageFailure });
  });

  it('config fails where the directory has another namespace than the one configured', async () => {
    const failure = { code: 'config-invalid', message: 'another namespace', hint: null } as const;
    await using fake = await fakeApp({ storageFailure: failure });
    expect((await run(fake, 'config')).exitCode).toBe(3);
  });
});
