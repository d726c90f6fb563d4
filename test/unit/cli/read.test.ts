import { createHash } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { BackupId } from '../../../src/core/layout.ts';
import type { ArchiveFile, Manifest } from '../../../src/core/manifest.ts';
import { fakeApp, fakeIo, run, type FakeApp } from './support.ts';

const WHOLE = '20261121T020000Z-full-0001' as BackupId;
const OTHER = '20261122T020000Z-full-0002' as BackupId;
const ROWS = 'rows\n'.repeat(1000);

function archive(content: string): ArchiveFile {
  return {
    name: 'shop.dump',
    format: 'any',
    database: 'shop',
    storedBytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    dumpBytes: content.length,
    compression: 'none',
  };
}

async function addRows(fake: FakeApp, id: BackupId): Promise<Manifest> {
  const made = await fake.add({ id, files: [archive(ROWS)] });
  await writeFile(fake.app.context.catalog.path(made, 'shop.dump'), ROWS);
  return made;
}

async function damage(fake: FakeApp, made: Manifest): Promise<void> {
  await truncate(fake.app.context.catalog.path(made, 'shop.dump'), 4000);
}

describe('cat', () => {
  it('writes a file of a backup and nothing else', async () => {
    await using fake = await fakeApp();
    await addRows(fake, WHOLE);
    expect(await run(fake, 'cat 202611 shop.dump')).toMatchObject({
      exitCode: 0,
      out: ROWS,
      err: '',
    });
  });

  it('fails when the file was damaged, also after bytes were written', async () => {
    await using fake = await fakeApp();
    await damage(fake, await addRows(fake, WHOLE));
    const { exitCode, err } = await run(fake, 'cat 202611 shop.dump');
    expect(exitCode).toBe(13);
    expect(err).toMatch(/^error: /);
    expect(JSON.parse((await run(fake, 'cat 202611 shop.dump --json')).err)).toMatchObject({
      error: { code: 'archive-corrupt', exitCode: 13 },
    });
  });

  it('names the files there are where one is unknown', async () => {
    await using fake = await fakeApp();
    await addRows(fake, WHOLE);
    const { exitCode, err } = await run(fake, 'cat 202611 typo');
    expect(exitCode).toBe(10);
    expect(err).toContain('shop.dump');
  });

  it.each([
    ['EPIPE', 130, ''],
    ['ENOSPC', 40, 'error: the result could not be written'],
  ])('says no success when stdout ends with %s', async (code, exitCode, message) => {
    await using fake = await fakeApp();
    await addRows(fake, WHOLE);
    const shown = fakeIo();
    const stdout = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error(`write ${code}`), { code, syscall: 'write' }));
      },
    });
    const ran = await run(fake, 'cat 202611 shop.dump', { ...shown, stdout });
    expect(ran.exitCode).toBe(exitCode);
    expect(shown.err().startsWith(message)).toBe(true);
    expect(shown.err() === '').toBe(message === '');
  });

  it('leaves stdout open: whoever runs the command owns it', async () => {
    await using fake = await fakeApp();
    await addRows(fake, WHOLE);
    const io = fakeIo();
    await run(fake, 'cat 202611 shop.dump', io);
    expect((io.stdout as PassThrough).writableEnded).toBe(false);
  });
});

describe('show', () => {
  it('is the manifest with the receipts', async () => {
    await using fake = await fakeApp();
    const made = await addRows(fake, WHOLE);
    await run(fake, 'pin 202611');
    const { exitCode, json } = await run(fake, 'show 202611 --json');
    expect(exitCode).toBe(0);
    expect(json()).toEqual({
      ...made,
      receipts: [{ type: 'pinned', at: expect.any(String) as unknown }],
    });
  });

  it('shows files, facts and receipts to people', async () => {
    await using fake = await fakeApp();
    await addRows(fake, WHOLE);
    await run(fake, 'verify');
    const { out } = await run(fake, 'show 202611');
    expect(out).toMatch(/^shop\.dump +5\.0 kB +5\.0 kB +[0-9a-f]{64}$/m);
    expect(out).toMatch(/^shop +12\.3 MB +1 +42$/m);
    expect(out).toMatch(/^verified \(content\) \d{4}-/m);
  });
});

describe('verify', () => {
  it('tells each backup, and ends with the first that is not whole', async () => {
    await using fake = await fakeApp();
    await addRows(fake, WHOLE);
    await damage(fake, await addRows(fake, OTHER));
    const { exitCode, err, json } = await run(fake, 'verify --json');
    expect({ exitCode, err }).toEqual({ exitCode: 13, err: '' });
    expect(json()).toMatchObject([
      { id: OTHER, source: 'db', ok: false, error: { code: 'archive-corrupt' } },
      { id: WHOLE, source: 'db', ok: true, depth: 'content', checkedBytes: 5000, error: null },
    ]);
    const human = await run(fake, 'verify db');
    expect(human.out).toMatch(/^DAMAGED {2}db {2}20261122/m);
    expect(human.out).toMatch(/^ok {7}db {2}20261121T020000Z-full-0001 {2}content, 5\.0 kB read$/m);
  });

  it('takes an id, a beginning of one, or a source', async () => {
    await using fake = await fakeApp();
    await addRows(fake, WHOLE);
    await damage(fake, await addRows(fake, OTHER));
    expect((await run(fake, `verify ${WHOLE}`)).exitCode).toBe(0);
    expect((await run(fake, 'verify 20261121')).exitCode).toBe(0);
    expect((await run(fake, 'verify 20261122')).exitCode).toBe(13);
    expect((await run(fake, 'verify 2030')).exitCode).toBe(10);
    expect((await run(fake, 'verify typo')).exitCode).toBe(16);
    expect((await run(fake, 'verify 202611')).exitCode).toBe(2);
  });
});

describe('folders of backups that cannot be used', () => {
  it('are no reason to say that there are none', async () => {
    await using fake = await fakeApp();
    const made = await addRows(fake, WHOLE);
    const manifest = fake.app.context.catalog.path(made, 'manifest.json');
    await writeFile(manifest, '{');
    const list = await run(fake, 'list db');
    expect(list).toMatchObject({ exitCode: 0, out: '' });
    expect(list.err).toContain('not shown: 1 folder that cannot be used as a backup');
    expect(list.err).not.toContain('no backups');
    const restore = await run(fake, 'restore db --dry-run');
    expect(restore.exitCode).toBe(10);
    expect(restore.err).toMatch(/none of the 1 backups of "db" can be used: .*is no JSON/);
    expect(restore.err).toContain('hint: Run "backupd check"');
  });

  it('are told beside those that can be', async () => {
    await using fake = await fakeApp();
    await addRows(fake, WHOLE);
    const made = await addRows(fake, OTHER);
    await writeFile(fake.app.context.catalog.path(made, 'manifest.json'), '{');
    const list = await run(fake, 'list');
    expect(list.out).toContain(WHOLE);
    expect(list.err).toContain('not shown: 1 folder that cannot be used as a backup');
    expect(JSON.parse((await run(fake, 'list --json')).out)).toMatchObject([{ id: WHOLE }]);
  });
});
