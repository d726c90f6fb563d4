import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { EncryptedBackup, Keys } from '../../../src/core/encryption.ts';
import { secret } from '../../../src/core/secret.ts';
import { readAll, streamOf } from '../../support/archives.ts';
import { ageKeys, newAgeKey } from '../../support/keys.ts';
import { backupId } from '../../support/storage.ts';

const NEVER = new AbortController().signal;
const [ONE, OTHER, THIRD] = await Promise.all([newAgeKey(), newAgeKey(), newAgeKey()]);

function backup(...keyIds: readonly string[]): EncryptedBackup {
  return { source: 'db', id: backupId(1), encryption: { scheme: 'age', keyIds } };
}

async function failure(keys: Keys, of: EncryptedBackup): Promise<unknown> {
  await using ring = keys.ring();
  return await ring.open(of, NEVER).then(
    () => null,
    (error: unknown) => error,
  );
}

async function through(text: string, from: Keys, to: Keys): Promise<string> {
  await using encrypter = await from.encrypter(NEVER);
  await using ring = to.ring();
  const { encryption } = encrypter;
  const decrypt = await ring.open({ ...backup(), encryption }, NEVER);
  let stream = streamOf([Buffer.from(text)]);
  for (const stage of [...encrypter.encrypt(), ...decrypt()]) {
    stream = stream.pipe(stage);
  }
  return (await readAll(stream)).bytes.toString();
}

describe('keys', () => {
  test('encrypt nothing where none are configured', async () => {
    const keys = ageKeys({});
    expect([keys.scheme, keys.secrets]).toEqual(['none', []]);
    await using encrypter = await keys.encrypter(NEVER);
    expect(encrypter.encryption).toEqual({ scheme: 'none', keyIds: [] });
    expect(encrypter.encrypt()).toEqual([]);
    await using ring = keys.ring();
    const plain = { ...backup(), encryption: { scheme: 'none', keyIds: [] } } as const;
    expect((await ring.open(plain, NEVER))()).toEqual([]);
    expect(await ring.keyIds('age', NEVER)).toEqual([]);
  });

  test('name the recipients in manifests, each once', async () => {
    const recipients = [ONE.recipient, OTHER.recipient, ONE.recipient];
    await using encrypter = await ageKeys({ recipients }).encrypter(NEVER);
    expect(encrypter.encryption).toEqual({
      scheme: 'age',
      keyIds: [ONE.recipient, OTHER.recipient],
    });
  });

  test('read with any one of several secrets what was encrypted for any one of several', async () => {
    const from = ageKeys({ recipients: [ONE.recipient, OTHER.recipient] });
    for (const { identity } of [ONE, OTHER]) {
      const to = ageKeys({ identities: [THIRD.identity, identity] });
      expect(await through('rows', from, to)).toBe('rows');
    }
  });

  test('say that the secret is missing, for whom it was, and how to give it', async () => {
    expect(await failure(ageKeys({ recipients: [ONE.recipient] }), backup(ONE.recipient))).toEqual(
      expect.objectContaining({
        code: 'key-missing',
        message: `backup ${backupId(1)} of "db" is encrypted with age for ${ONE.recipient}, and no key is here to read it`,
        hint: expect.stringContaining('-e BACKUPD_AGE_IDENTITY_FILE=/path') as unknown,
      }),
    );
    const gpg = { ...backup(), encryption: { scheme: 'gpg', keyIds: ['ABCD'] } } as const;
    expect(await failure(ageKeys({ identities: [ONE.identity] }), gpg)).toMatchObject({
      code: 'key-missing',
      hint: expect.stringContaining('BACKUPD_GPG_SECRET_KEY') as unknown,
    });
  });

  test('say that the secret does not fit, by the public names of both', async () => {
    const keys = ageKeys({ identities: [OTHER.identity, THIRD.identity] });
    const error = await failure(keys, backup(ONE.recipient));
    expect(error).toMatchObject({
      code: 'key-wrong',
      message: `backup ${backupId(1)} of "db" is encrypted with age for ${ONE.recipient}, the key that is here is ${OTHER.recipient}, ${THIRD.recipient}`,
    });
    expect(inspect(error, { depth: null })).not.toContain('SECRET');
  });

  test('refuse what they do not know', async () => {
    const unknown = {
      ...backup(),
      encryption: { scheme: 'rot13', keyIds: [] },
    } as unknown as EncryptedBackup;
    expect(await failure(ageKeys({ identities: [ONE.identity] }), unknown)).toMatchObject({
      code: 'format-unsupported',
      message: expect.stringContaining('"rot13"') as unknown,
    });
  });
});

test('a secret is seen by whoever asks for it, and in no other way', () => {
  const hidden = secret('hunter2');
  expect(hidden.reveal()).toBe('hunter2');
  for (const shown of [JSON.stringify({ hidden }), inspect(hidden)]) {
    expect(shown).not.toContain('hunter2');
  }
});
