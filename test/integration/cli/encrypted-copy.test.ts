import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBucketStage, ORDERS, type BucketStage } from '../../support/bucket-stage.ts';
import { newAgeKey, startKeyTools, untilNothingOfGpg } from '../../support/keys.ts';
import { having } from '../../support/matchers.ts';
import { startPostgres } from '../../support/postgres.ts';

const PASSPHRASE = 'correct horse "battery" staple';
type Env = Readonly<Record<string, string>>;

let stage: BucketStage;
/** What encrypts, and what decrypts. */
const keys = new Map<string, { readonly recipients: Env; readonly secret: Env }>();

beforeAll(async () => {
  stage = await openBucketStage();
  const { identity, recipient } = await newAgeKey();
  keys.set('age', {
    recipients: { BACKUPD_AGE_RECIPIENTS: recipient },
    secret: { BACKUPD_AGE_IDENTITY: identity },
  });
  await using tools = await startKeyTools(stage.origin.dir);
  const gpg = await tools.makeGpgKey('backups', { passphrase: PASSPHRASE });
  keys.set('gpg', {
    recipients: { BACKUPD_GPG_RECIPIENT_KEYS: gpg.publicKey },
    secret: { BACKUPD_GPG_SECRET_KEY: gpg.secretKey, BACKUPD_GPG_PASSPHRASE: PASSPHRASE },
  });
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test.each(['age', 'gpg'])(
  'an empty host needs the bucket and the secret key of %s, and nothing else',
  async (scheme) => {
    const { recipients = {}, secret: env = {} } = keys.get(scheme) ?? {};
    const bucket = await stage.bucket();
    const manifest = await stage.backUp(recipients);
    await bucket.put(manifest);
    await using empty = await startPostgres();
    await using host = await stage.emptyHost(bucket.env);
    const restore = ['restore', 'orders', '--from', 's3', '--into', empty.name, '--json'];
    expect(await host.backupd(restore)).toMatchObject({ exitCode: 15, stdout: '' });
    expect(await host.json(['verify', '--from', 's3'])).toEqual([
      having({ ok: true, depth: 'stored' }),
    ]);
    const verified = await host.backupd(['verify', '--from', 's3', '--json'], { env });
    expect(JSON.parse(verified.stdout)).toEqual([having({ ok: true, depth: 'content' })]);
    const cat = await host.backupd(['cat', manifest.id, `globals.sql.zst.${scheme}`], {
      env: { ...env, BACKUPD_NAMESPACE: 'shop' },
    });
    expect(cat.exitCode, cat.stderr).toBe(0);
    expect(cat.stdout).toContain('-- backupd: complete');
    const restored = await host.backupd(restore, { env });
    expect(restored.exitCode, restored.stderr).toBe(0);
    expect(await empty.sql(ORDERS)).toBe(await stage.server.sql(ORDERS));
    await untilNothingOfGpg(host);
  },
);
