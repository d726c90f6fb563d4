import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../src/core/manifest.ts';
import { liveApp, type LiveApp } from '../support/live-app.ts';
import { paperTar, type PaperMember } from '../support/paper-tar.ts';
import { docker, runProcess } from '../support/run-process.ts';
import { temporaryFolder } from '../support/storage.ts';
import { startContainer, testVolume, uniqueName } from '../support/test-container.ts';
import {
  fingerprintVolume,
  helpersOf,
  inVolume,
  ownPlaces,
  volumeNamed,
} from '../support/volume.ts';

async function isThere(volume: string): Promise<boolean> {
  return (await runProcess(['docker', 'volume', 'inspect', volume])).exitCode === 0;
}

describe('what is no backup', () => {
  test('a volume that is not there is an error, and is not made', async () => {
    const name = uniqueName('volume');
    await using app = await liveApp({ sources: { data: `volume://${name}` } });
    const { failure } = await app.backUp('data');
    expect(failure).toMatchObject({
      code: 'target-unavailable',
      message: `there is no volume "${name}"`,
    });
    expect(await isThere(name)).toBe(false);
  });

  test('a directory that is not there is an error, and is not made', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'nowhere');
    await using app = await liveApp({ sources: { data: `volume://${path}` } });
    const { failure } = await app.backUp('data');
    expect(failure).toMatchObject({
      code: 'target-unavailable',
      message: `the host has no directory "${path}"`,
    });
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a volume that is empty and was not is an error, unless somebody means it', async () => {
    await using volume = await testVolume();
    await inVolume(volume.name, 'echo a >a');
    await using app = await liveApp({ sources: { data: `volume://${volume.name}` } });
    await app.backedUp('data');
    await inVolume(volume.name, 'rm a');
    const { failure } = await app.backUp('data');
    expect(failure).toMatchObject({
      code: 'dump-failed',
      message: expect.stringContaining('is empty, and had 1 files') as string,
    });
    const meant = await app.backUp('data', { pins: ['by-hand'] });
    expect(meant.failure).toBeNull();
    await app.backedUp('data');
  });
});

test('what is left out, what cannot be held and what changes while it is read is told', async () => {
  await using volume = await testVolume();
  await inVolume(
    volume.name,
    `mkdir -p cache sub/cache logs; touch cache/a sub/cache/b logs/x.log "a b"; head -c 200000000 /dev/zero >grows
     python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'`,
  );
  await using app = await liveApp({
    sources: { data: `volume://${volume.name}` },
    env: { BACKUPD_SOURCE_DATA_EXCLUDE: '/cache,*.log' },
  });
  const still = await app.backedUp('data');
  expect(still.warnings.map(({ code }) => code)).toEqual(['sockets-skipped']);
  expect(still.facts.databases[volume.name]?.objects).toEqual({
    entries: 6,
    files: 3,
    directories: 3,
  });

  await using _writer = await startContainer({
    image: 'debian:trixie-slim',
    volumes: [`${volume.name}:/volume`],
    args: ['sh', '-c', 'while :; do echo x >>/volume/grows; done'],
  });
  const moving = await app.backedUp('data');
  expect(moving.warnings.map(({ code }) => code)).toEqual(['files-changed', 'sockets-skipped']);
  expect(moving.warnings[0]?.message).toContain('1 file of');
});

describe('a restore', () => {
  test('is refused while running containers use the volume, by their names, unless they are stopped', async () => {
    await using volume = await testVolume();
    await inVolume(volume.name, 'echo a >a');
    await using app = await liveApp({ sources: { data: `volume://${volume.name}` } });
    await app.backedUp('data');
    const mounted = { image: 'debian:trixie-slim', volumes: [`${volume.name}:/data`] };
    await using user = await startContainer({ ...mounted, args: ['sleep', 'infinity'] });

    await expect(app.restore({ source: 'data' })).rejects.toMatchObject({
      code: 'target-in-use',
      message: expect.stringContaining(user.name) as string,
    });
    expect(await ownPlaces(volume.name)).toEqual([]);

    const report = await app.restore({ source: 'data', stop: [user.name] });
    expect(report.databases[0]?.previous).toMatch(/_before_/);
    expect(await docker('inspect', '--format', '{{.State.Running}}', user.name)).toBe('true');
  });

  test.each([
    ['swap-prepared', 'taken back', 0],
    ['swap-moved', 'finished', 1],
  ])('whose container is removed at %s is %s by the same run', async (step, _outcome, places) => {
    await using volume = await testVolume();
    await inVolume(volume.name, 'mkdir a; echo b >a/b; echo c >c; chmod 711 .');
    await using app = await liveApp({ sources: { data: `volume://${volume.name}` } });
    await app.backedUp('data');
    const before = await fingerprintVolume(volume.name);
    await inVolume(volume.name, 'rm c; echo d >d; chmod 700 .');
    const changed = await fingerprintVolume(volume.name);
    let removed = 0;
    function removeAt(passed: unknown): void {
      if (passed === step && removed === 0) {
        removed += 1;
        const filters = ['--filter', `volume=${volume.name}`, '--filter', 'label=backupd-helper'];
        const ids = execFileSync('docker', ['ps', '--quiet', ...filters], { encoding: 'utf8' });
        execFileSync('docker', ['rm', '--force', ...ids.trim().split('\n')]);
      }
    }
    subscribe('backupd:step', removeAt);
    try {
      const restore = app.restore({ source: 'data' });
      await (places === 0
        ? expect(restore).rejects.toMatchObject({ code: 'restore-failed' })
        : expect(restore).resolves.toMatchObject({ databases: [{ name: volume.name }] }));
    } finally {
      unsubscribe('backupd:step', removeAt);
    }
    expect(removed).toBe(1);
    expect(await fingerprintVolume(volume.name)).toEqual(places === 0 ? changed : before);
    expect(await ownPlaces(volume.name)).toHaveLength(places);
    expect(await helpersOf(volume.name)).toEqual([]);
  });

  test('makes a volume that is gone again, as it was', async () => {
    await using folder = await temporaryFolder();
    const name = uniqueName('volume');
    await using volume = volumeNamed(name);
    const options = ['type=none', 'o=bind', `device=${folder.dir}`].flatMap((one) => [
      '--opt',
      one,
    ]);
    const labels = ['--label', 'com.docker.compose.volume=data'];
    await docker('volume', 'create', ...options, ...labels, name);
    await inVolume(name, 'echo a >a');
    const before = await fingerprintVolume(name);
    const made = await readMaking(name);
    await using app = await liveApp({ sources: { data: `volume://${volume.name}` } });
    await app.backedUp('data');
    await inVolume(name, 'rm a');
    await docker('volume', 'rm', name);

    const report = await app.restore({ source: 'data' });
    expect(report.databases).toMatchObject([{ name, restoredAs: name, previous: null }]);
    expect(await fingerprintVolume(name)).toEqual(before);
    const { labels: found, ...rest } = await readMaking(name);
    const { 'backupd-made-by': _by, ...own } = found;
    expect({ ...rest, labels: own }).toEqual(made);
    await inVolume(name, 'rm -rf -- * .backupd-*');
  });

  test('into a volume in memory is refused: nothing would be left of it', async () => {
    const memory = ['type=tmpfs', 'device=tmpfs', 'o=size=5m'].flatMap((one) => ['--opt', one]);
    await using volume = await testVolume(memory);
    await using app = await liveApp({ sources: { data: `volume://${volume.name}` } });
    await app.backedUp('data');
    await expect(app.restore({ source: 'data' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('is in memory') as string,
    });
  });

  test('brings back what new files in the volume inherit, and does not inherit it itself', async () => {
    await using volume = await testVolume();
    await inVolume(
      volume.name,
      `mkdir d; echo a >d/a; chmod 640 d/a; setfacl -m u:99:rx .; setfacl -d -m u:77:rwx,g:88:r .
       mkdir new; echo c >new/c; setfattr -n user.root -v 1 .; chmod g+s .`,
    );
    await using app = await liveApp({ sources: { data: `volume://${volume.name}` } });
    await app.backedUp('data');
    const before = await fingerprintVolume(volume.name);
    await inVolume(volume.name, 'rm -r *; setfacl -b .; chmod 700 .; chown 3:4 .');
    const changed = await fingerprintVolume(volume.name);
    await app.restore({ source: 'data' });
    expect(await fingerprintVolume(volume.name)).toEqual(before);
    await app.undo('data');
    expect(await fingerprintVolume(volume.name)).toEqual(changed);
  });

  test('of a directory of the host brings it back, and undo takes it back', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.dir, 'some data');
    await mkdir(path);
    await inVolume(path, 'mkdir a; echo b >a/b; chown 5:6 a');
    await using app = await liveApp({
      sources: { data: `volume://${path.split('/').map(encodeURIComponent).join('/')}` },
    });
    const manifest = await app.backedUp('data');
    expect(manifest).toMatchObject({ target: { volume: path, made: null }, databases: [path] });
    const before = await fingerprintVolume(path);
    await inVolume(path, 'rm -r a; echo c >c');
    const changed = await fingerprintVolume(path);
    await app.restore({ source: 'data' });
    expect(await fingerprintVolume(path)).toEqual(before);
    await app.undo('data');
    expect(await fingerprintVolume(path)).toEqual(changed);
    await inVolume(path, 'rm -rf -- * .backupd-*');
  });

  test.each<readonly [string, readonly PaperMember[]]>([
    ['an absolute path', [{ path: '/volume/evil' }]],
    ['a path that leads up', [{ path: './../../../evil' }]],
    ['a hard link that leads up', [{ path: './a', type: '1', link: './../../../live' }]],
    [
      'a symbolic link with something below it',
      [
        { path: './a', type: '2', link: '../../..' },
        { path: './a/evil', content: Buffer.from('evil') },
      ],
    ],
  ])('of an archive with %s fails, and writes nothing outside', async (_what, members) => {
    await using volume = await testVolume();
    await inVolume(volume.name, 'echo live >live');
    await using app = await liveApp({ sources: { data: `volume://${volume.name}` } });
    await replaceArchive(app, await app.backedUp('data'), paperTar(...members));
    const before = await fingerprintVolume(volume.name);
    await expect(app.restore({ source: 'data' })).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:archive-corrupt|restore-failed)$/) as string,
      hint: expect.stringContaining('untouched') as string,
    });
    expect(await fingerprintVolume(volume.name)).toEqual(before);
    expect(await ownPlaces(volume.name)).toEqual([]);
    expect(await helpersOf(volume.name)).toEqual([]);
  });
});

async function readMaking(volume: string): Promise<{
  readonly driver: string;
  readonly options: unknown;
  readonly labels: Readonly<Record<string, string>>;
}> {
  const [info] = JSON.parse(await docker('volume', 'inspect', volume)) as readonly {
    readonly Driver: string;
    readonly Options: unknown;
    readonly Labels: Readonly<Record<string, string>>;
  }[];
  return { driver: info?.Driver ?? '', options: info?.Options, labels: info?.Labels ?? {} };
}

/** Puts another archive into a backup, with a manifest that is true of it but for the facts, of which there are none. */
async function replaceArchive(app: LiveApp, manifest: Manifest, archive: Buffer): Promise<void> {
  const folder = join(app.dir, 'data', manifest.id);
  const [file] = manifest.files;
  const name = 'evil.tar';
  const sha256 = createHash('sha256').update(archive).digest('hex');
  const sizes = { storedBytes: archive.length, dumpBytes: archive.length };
  const files = [{ ...file, name, sha256, ...sizes, compression: 'none' }];
  const database = { sizeBytes: null, tables: {}, sequences: {}, objects: {} };
  const databases = Object.fromEntries(manifest.databases.map((one) => [one, database]));
  const facts = { ...manifest.facts, databases };
  await writeFile(join(folder, name), archive);
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, files, facts }));
}
