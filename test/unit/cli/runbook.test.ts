import { describe, expect, test } from 'vitest';
import type { OwnContainer } from '../../../src/core/own-container.ts';
import type { OptionInForce } from '../../../src/core/settings.ts';
import type { App } from '../../../src/jobs/context.ts';
import { backupId, SAMPLE_ARCHIVE } from '../../support/storage.ts';
import { configured } from '../../support/upload-stage.ts';
import { memoryDestination } from '../../support/memory-destination.ts';
import { blocks, section } from '../../support/documents.ts';
import { boundSource } from './paper-source.ts';
import { recordDrill } from '../../../src/store/drills.ts';
import { fakeApp, run, type FakeApp } from './support.ts';

const OWN: OwnContainer = {
  name: 'shop-backupd-1',
  image: 'registry.example/backupd:1',
  mounts: [
    { type: 'volume', name: 'shop_backups', source: '/x', destination: '/backups' },
    {
      type: 'bind',
      name: null,
      source: '/run/user/docker.sock',
      destination: '/var/run/docker.sock',
    },
    { type: 'bind', name: null, source: '/mnt/nas 2', destination: '/mnt/nas' },
  ],
};

/** Runs the command on an app that is in that container. */
async function write(fake: FakeApp, change: Partial<App> = {}): Promise<string> {
  const app: App = {
    ...fake.app,
    ownContainer: () => Promise.resolve(OWN),
    settings: { ...fake.app.settings, dir: '/backups' },
    ...change,
  };
  const { exitCode, out } = await run({ ...fake, app }, 'runbook');
  expect(exitCode).toBe(0);
  return out;
}

function commands(text: string, heading: string): string {
  return blocks(section(text, heading), 'sh').join('');
}

describe('a runbook', () => {
  test('names the container, image, volume and socket that there are', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('db'));
    await fake.add();
    const text = await write(fake);
    expect(commands(text, '### db: here')).toContain('docker exec -it shop-backupd-1 restore db\n');
    expect(commands(text, '### db: beside, into an empty one')).toContain(
      'docker run -d --name new-db-look -e POSTGRES_PASSWORD=change-me postgres:17\n' +
        'until docker exec new-db-look pg_isready -h 127.0.0.1; do sleep 1; done\n',
    );
    expect(commands(text, '### db: with stock tools alone')).toContain(
      '-v shop_backups:/backups:ro',
    );
    expect(text).toContain('| Its image | `registry.example/backupd:1` |');
    expect(section(text, '## Whom alarms reach')).toContain('**Nobody.**');
  });

  test('says how to come back from a directory on another host', async () => {
    const place = { kind: 'directory', path: '/mnt/nas/copies' } as const;
    const destination = configured(memoryDestination(), { name: 'nas', place });
    await using fake = await fakeApp({ destinations: [destination] });
    fake.discovery.sources.push(boundSource('db'));
    await fake.add();
    const { settings } = fake.app;
    const text = await write(fake, {
      settings: { ...settings, dir: '/backups', destinations: [destination.settings] },
    });
    expect(blocks(section(text, '## Destination nas'), 'ini')).toEqual([
      'BACKUPD_DESTINATIONS=nas\nBACKUPD_DEST_NAS_PATH=/copies\nBACKUPD_NAMESPACE=shop\n',
    ]);
    expect(commands(text, '### db: on another host, from nas')).toContain(
      "docker run --rm -v /run/user/docker.sock:/var/run/docker.sock -v backups:/backups -v '/mnt/nas 2/copies':/copies --env-file=nas.env registry.example/backupd:1 restore db --from nas --into new-db-nas\n",
    );
  });

  test.each([
    [
      'age',
      // One folder up: what is taken apart is in a folder of its own.
      'age -d -i ../backupd-key.txt shop.dump.zst.age | zstd -dc | docker exec',
      '-e BACKUPD_AGE_IDENTITY',
    ],
    [
      'gpg',
      'gpg --import ../backupd-secret.asc\ngpg -d shop.dump.zst.gpg | zstd -dc | docker exec',
      '-e BACKUPD_GPG_SECRET_KEY -e BACKUPD_GPG_PASSPHRASE',
    ],
  ] as const)('gives the key of %s to what reads', async (scheme, command, option) => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('db'));
    await fake.add({
      encryption: { scheme, keyIds: ['age1recipient'] },
      files: [{ ...SAMPLE_ARCHIVE, name: `shop.dump.zst.${scheme}` }],
    });
    const text = await write(fake);
    expect(commands(text, '### db: with stock tools alone')).toContain(command);
    expect(commands(text, '### db: here')).toContain(
      `docker exec -it ${option} shop-backupd-1 restore db\n`,
    );
    expect(text).toContain('age1recipient');
  });

  test.each(['postgres', 'mysql', 'mariadb', 'mongodb'] as const)(
    'waits for a new server of %s before anything is loaded into it',
    async (engine) => {
      const place = { kind: 'directory', path: '/mnt/nas/copies' } as const;
      const destination = configured(memoryDestination(), { name: 'nas', place });
      await using fake = await fakeApp({ destinations: [destination] });
      fake.discovery.sources.push(boundSource('db'));
      await fake.add({ engine });
      const text = await write(fake, {
        settings: { ...fake.app.settings, dir: '/backups', destinations: [destination.settings] },
      });
      for (const [title, name] of [
        ['beside, into an empty one', 'new-db-look'],
        ['on another host, from nas', 'new-db-nas'],
        ['with stock tools alone', 'new-db-stock'],
      ] as const) {
        const lines = commands(text, `### db: ${title}`).split('\n');
        const start = lines.findIndex((line) => line.startsWith(`docker run -d --name ${name} `));
        expect(start).toBeGreaterThanOrEqual(0);
        expect(lines[start + 1]).toMatch(new RegExp(`^until docker exec ${name} .*; done$`));
      }
    },
  );

  test('quotes names of databases for shell and server', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('db'));
    const name = "it's `|$(x)";
    await fake.add({
      engine: 'mariadb',
      databases: [name],
      engineFacts: { databases: { [name]: { characterSet: 'utf8mb4', collation: 'utf8mb4_bin' } } },
      files: [{ ...SAMPLE_ARCHIVE, name: 'x%20.sql.zst', format: 'mysql-dump', database: name }],
    });
    const text = await write(fake);
    const stock = commands(text, '### db: with stock tools alone');
    expect(stock).toContain(
      String.raw`<<<'create database ${'`'}it'\''s ${'``'}|$(x)${'`'} character set utf8mb4 collate utf8mb4_bin'`,
    );
    expect(stock).toContain(
      String.raw`zstd -dc x%20.sql.zst | docker exec -i -e NAME='it'\''s ${'`'}|$(x)' $DB`,
    );
    expect(text).toContain(String.raw`| Databases | ${'`'}it's '\|$(x)${'`'} |`);
  });

  test('names channels, and none of their secrets', async () => {
    await using fake = await fakeApp();
    const options: OptionInForce[] = [
      { name: 'BACKUPD_NOTIFY_SLACK_URL', value: 'https://hooks.example/[hidden]', from: 'x' },
      { name: 'BACKUPD_NOTIFY_EMAIL_TO', value: 'ops@example.org', from: 'x' },
      { name: 'BACKUPD_NOTIFY_WEBHOOK_URL', value: null, from: 'default' },
    ];
    expect(section(await write(fake, { options }), '## Whom alarms reach')).toContain(
      '\n- Slack\n- e-mail: `ops@example.org`\n',
    );
  });

  test('a backup that is whole at a destination only is restored from there', async () => {
    const place = { kind: 'directory', path: '/mnt/nas/copies' } as const;
    const destination = configured(memoryDestination(), { name: 'nas', place });
    await using fake = await fakeApp({ destinations: [destination] });
    fake.discovery.sources.push(boundSource('db'));
    const manifest = await fake.add({ id: backupId(1) });
    const at = '2026-11-22T03:00:00.000Z';
    const { catalog } = fake.app.context;
    await catalog.addReceipt({ manifest }, { type: 'damaged', at, message: 'torn' });
    const settings = { ...fake.app.settings, destinations: [destination.settings] };
    const without = section(await write(fake, { settings }), '## db');
    expect(without).toContain('There is no good backup of it here');
    expect(without).toContain('backupd list db --from nas');
    await catalog.addReceipt({ manifest }, { type: 'uploaded', at, destination: 'nas', files: [] });
    const text = await write(fake, { settings });
    expect(section(text, '## db')).toContain('whole at nas only');
    expect(section(text, '## db')).toContain('**What is here of it is damaged.**');
    expect(commands(text, '### db: on another host, from nas')).toContain('--from nas');
  });

  test('loads the database that every server has into it', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('db'));
    const file = { ...SAMPLE_ARCHIVE, name: 'postgres.dump.zst', database: 'postgres' };
    await fake.add({ databases: ['postgres', 'shop'], files: [SAMPLE_ARCHIVE, file] });
    const stock = commands(await write(fake), '### db: with stock tools alone');
    expect(stock).toContain('pg_restore -U postgres --exit-on-error -d postgres\n');
    expect(stock).toContain('pg_restore -U postgres --create --exit-on-error -d postgres\n');
  });

  test('says plainly what cannot be restored', async () => {
    await using fake = await fakeApp();
    expect(await write(fake)).toContain('**There is no source: nothing is backed up.**');
    fake.discovery.sources.push(boundSource('db'));
    const text = await write(fake);
    expect(section(text, '## db')).toContain('There is no good backup of it here');
    expect(text).not.toContain('### db');
  });

  test('is a document with --json, and an error where the directory cannot be read', async () => {
    await using fake = await fakeApp();
    const written = (await run(fake, 'runbook --json')).json() as { markdown: string };
    expect(written.markdown).toMatch(/^# Runbook: how to restore shop\n/);
    const storageFailure = { code: 'storage-unavailable', message: 'no', hint: 'Look.' } as const;
    await using broken = await fakeApp({ storageFailure });
    expect(await run(broken, 'runbook')).toMatchObject({ exitCode: 41, out: '' });
  });

  test('tells of the last restore test', async () => {
    await using fake = await fakeApp();
    fake.discovery.sources.push(boundSource('db'));
    await fake.add({ id: backupId(1) });
    expect(section(await write(fake), '## db')).toContain('| Last restore test | never |');

    const at = '2026-11-01T04:00:00.000Z';
    const how = { at, source: 'db', id: null, from: null, ok: true, recoveryMs: 48_000 } as const;
    const none = { differences: [], notCompared: [], checks: [], notes: [], failure: null };
    const report = { ...how, ...none, integrity: null, skipped: null };
    await recordDrill(fake.app.context.storage.dir, report);
    const words = 'passed, nothing compared, took 48s |';
    expect(section(await write(fake), '## db')).toContain(words);
    expect((await run(fake, 'status')).out).toContain('ago, nothing compared, took 48s');
  });
});
