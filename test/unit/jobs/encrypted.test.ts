import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { writeArchive } from '../../../src/archive/write-archive.ts';
import type { Keys } from '../../../src/core/encryption.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import { copyBackupFile } from '../../../src/jobs/cat.ts';
import { checkKeys } from '../../../src/jobs/check-keys.ts';
import { verifyBackups } from '../../../src/jobs/verify.ts';
import { goldenArchive, streamOf } from '../../support/archives.ts';
import { goldenCatalog, type GoldenCatalog } from '../../support/golden-catalog.ts';
import { ageKeys, newAgeKey } from '../../support/keys.ts';
import { containing, having } from '../../support/matchers.ts';

const NEVER = new AbortController().signal;
const ALL = { source: null, id: null };
const [OWN, OTHER] = await Promise.all([newAgeKey(), newAgeKey()]);
const RECIPIENTS = ageKeys({ recipients: [OWN.recipient] });

/** A backup as a run would make it with these recipients. */
async function addEncrypted(here: GoldenCatalog, number: number): Promise<Manifest> {
  await using encrypter = await RECIPIENTS.encrypter(NEVER);
  const archive = await goldenArchive('small-17');
  const plain = await here.add(number, { encryption: encrypter.encryption });
  const path = `${here.path(plain)}.age`;
  const written = await writeArchive(
    streamOf([archive]),
    {
      path,
      encoding: 'none',
      compression: { algorithm: 'zstd', level: 3 },
      encrypt: encrypter.encrypt,
      reader: await here.app.reader('postgres', 'pg-custom'),
      onProgress: () => undefined,
    },
    NEVER,
  );
  const { storedBytes, sha256, dumpBytes } = written;
  const files = plain.files.map((file) => ({ ...file, storedBytes, sha256, dumpBytes }));
  await writeFile(here.path(plain), await readFile(path));
  const manifest = { ...plain, files };
  await writeFile(here.path(plain, 'manifest.json'), JSON.stringify(manifest));
  return manifest;
}

async function verify(keys: Keys): Promise<readonly unknown[]> {
  await using here = await goldenCatalog(keys);
  await addEncrypted(here, 1);
  return await verifyBackups(ALL, here.app, NEVER);
}

describe('verifyBackups', () => {
  test('reads an encrypted backup to its end with the key, and what is stored without it', async () => {
    const withKey = ageKeys({ identities: [OTHER.identity, OWN.identity] });
    expect(await verify(withKey)).toEqual([having({ ok: true, depth: 'content' })]);
    expect(await verify(RECIPIENTS)).toEqual([having({ ok: true, depth: 'stored' })]);
  });

  test('tells that the key is another one, and takes nothing for damaged', async () => {
    await using here = await goldenCatalog(ageKeys({ identities: [OTHER.identity] }));
    const backup = await addEncrypted(here, 1);
    expect(await verifyBackups(ALL, here.app, NEVER)).toEqual([
      having({ ok: false, checkedBytes: 0, failure: having({ code: 'key-wrong' }) }),
    ]);
    expect(await here.receipts(backup)).toEqual([]);
  });

  test('sees damage with the key and without it', async () => {
    for (const keys of [ageKeys({ identities: [OWN.identity] }), RECIPIENTS]) {
      await using here = await goldenCatalog(keys);
      const backup = await addEncrypted(here, 1);
      await writeFile(here.path(backup), randomBytes(backup.files[0]?.storedBytes ?? 0));
      expect(await verifyBackups(ALL, here.app, NEVER)).toEqual([
        having({ ok: false, failure: having({ code: 'archive-corrupt' }) }),
      ]);
      expect(await here.receipts(backup)).toEqual([having({ type: 'damaged' })]);
    }
  });
});

test('copyBackupFile writes the plain bytes of an encrypted file', async () => {
  await using here = await goldenCatalog(ageKeys({ identities: [OWN.identity] }));
  const { id } = await addEncrypted(here, 1);
  const to = new PassThrough();
  const pieces: Buffer[] = [];
  to.on('data', (piece: Buffer) => pieces.push(piece));
  await copyBackupFile({ id, file: 'small.dump.zst', to }, here.app, NEVER);
  expect(Buffer.concat(pieces).equals(await goldenArchive('small-17'))).toBe(true);
});

describe('checkKeys', () => {
  const encrypts = having({
    name: 'keys',
    subject: 'age',
    ok: true,
    message: `backups are encrypted for ${OWN.recipient}`,
  });

  test.each([
    ['says nothing where there are none', {}, []],
    [
      'finds it right that no secret is here',
      { recipients: [OWN.recipient] },
      [encrypts, having({ ok: true, message: containing('no secret key is here') })],
    ],
    [
      'goes there and back where one is',
      { recipients: [OWN.recipient], identities: [OTHER.identity, OWN.identity] },
      [encrypts, having({ ok: true, message: containing('can be read with the secret key') })],
    ],
    [
      'tells of one that does not fit',
      { recipients: [OWN.recipient], identities: [OTHER.identity] },
      [encrypts, having({ ok: false, message: containing(OTHER.recipient) })],
    ],
    [
      'tells of one that is for reading only',
      { identities: [OTHER.identity] },
      [having({ ok: true, message: containing(`${OTHER.recipient} is here, for reading only`) })],
    ],
  ])('%s', async (_, configured, expected) => {
    expect(await checkKeys(ageKeys(configured), NEVER)).toEqual(expected);
  });

  test('tells of recipients that cannot be used', async () => {
    const keys = {
      ...RECIPIENTS,
      encrypter: () => Promise.reject(new Error('no key')),
    };
    expect(await checkKeys(keys, NEVER)).toEqual([having({ ok: false, message: 'no key' })]);
  });
});
