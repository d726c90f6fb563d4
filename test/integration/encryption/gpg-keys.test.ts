import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeEncryptedBackup } from '../../support/encrypted-backup.ts';
import {
  leftOfGpg,
  startKeyTools,
  untilNothingOfGpg,
  type GpgKeyPair,
  type KeyTools,
} from '../../support/keys.ts';
import { containing, having, matching } from '../../support/matchers.ts';
import { openRestoreStage, type RestoreStage } from '../../support/restore-stage.ts';
import type { ProcessResult } from '../../support/run-process.ts';
import { waitFor } from '../../support/wait-for.ts';

type Env = Readonly<Record<string, string>>;

const started = new AsyncDisposableStack();
let stage: RestoreStage;
let tools: KeyTools;
let plain: GpgKeyPair;

beforeAll(async () => {
  stage = started.use(await openRestoreStage({ settings: { BACKUPD_KEEP: 'all' } }));
  tools = started.use(await startKeyTools(stage.dir));
  plain = await tools.makeGpgKey('plain');
  await makeEncryptedBackup(stage, { BACKUPD_GPG_RECIPIENT_KEYS: plain.publicKey });
});
afterAll(async () => {
  await started.disposeAsync();
});

async function backupd(args: readonly string[], env: Env = {}): Promise<ProcessResult> {
  return stage.backupd(args, { env });
}

describe('a key that cannot be encrypted for', () => {
  async function expectRefused(env: Env, message: unknown): Promise<void> {
    const before = await stage.json(['list', 'db']);
    const { exitCode, stdout } = await backupd(['backup', 'db', '--json'], env);
    expect(exitCode).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      runs: [{ outcome: 'failed', id: null, error: { code: 'config-invalid', message } }],
    });
    expect(await stage.json(['list', 'db'])).toEqual(before);
    expect(await stage.leftovers()).toEqual([]);
    const check = await backupd(['check', '--json'], env);
    expect(JSON.parse(check.stdout)).toMatchObject({ ok: false });
    await untilNothingOfGpg(stage);
  }

  test('is told when it is expired', async () => {
    const short = await tools.makeGpgKey('short', { expires: 'seconds=1' });
    await waitFor('end of the key', async () => {
      const listed = await tools.run(`gpg --batch --with-colons --list-keys ${short.fingerprint}`);
      return listed.includes('pub:e:');
    });
    await expectRefused(
      { BACKUPD_GPG_RECIPIENT_KEYS: plain.publicKey + short.publicKey },
      matching(new RegExp(`for key ${short.fingerprint}: it is expired`)),
    );
  });

  test('is told when it is revoked', async () => {
    const gone = await tools.makeGpgKey('gone');
    await tools.run(
      `sed 's/^:---/---/' /tmp/.gnupg/openpgp-revocs.d/${gone.fingerprint}.rev | gpg --batch --quiet --import`,
    );
    const publicKey = await tools.run(`gpg --armor --export ${gone.fingerprint}`);
    await expectRefused(
      { BACKUPD_GPG_RECIPIENT_KEYS: publicKey },
      containing(`${gone.fingerprint}: it is revoked`),
    );
  });

  test('is told when it is only for signatures', async () => {
    await tools.run(
      `gpg --batch --quiet --passphrase '' --quick-gen-key signer ed25519 sign never`,
    );
    const publicKey = await tools.run(`gpg --armor --export =signer`);
    await expectRefused(
      { BACKUPD_GPG_RECIPIENT_KEYS: publicKey },
      containing('none of its subkeys can be encrypted for'),
    );
  });

  test('is told when it is none', async () => {
    const broken = plain.publicKey.replace(/\n([A-Za-z0-9+/]{10})/, '\nAAAAAAAAAA');
    await expectRefused(
      { BACKUPD_GPG_RECIPIENT_KEYS: broken },
      containing('gpg finds no public key in it'),
    );
  });
});

test('a key that expires soon is a warning of the backup, and one that did still reads', async () => {
  const soon = await tools.makeGpgKey('soon', { expires: '10d' });
  const env = { BACKUPD_GPG_RECIPIENT_KEYS: soon.publicKey };
  const { id: made } = await makeEncryptedBackup(stage, env);
  const [entry] = await stage.json<readonly { id: string; warnings: readonly object[] }[]>([
    'list',
    'db',
  ]);
  expect(entry).toMatchObject({ id: made });
  expect(entry?.warnings).toContainEqual(
    having({
      code: 'key-expiring',
      message: matching(
        new RegExp(`^key ${soon.fingerprint} expires in (?:9|10) days, on 2\\d{3}-`),
      ),
    }),
  );
  // As it will be in a month.
  await tools.run(
    `gpg --batch --quiet --passphrase '' --quick-set-expire ${soon.fingerprint} seconds=1`,
  );
  await waitFor('end of the key', async () =>
    (await tools.run(`gpg --batch --with-colons --list-keys ${soon.fingerprint}`)).includes(
      'pub:e:',
    ),
  );
  const secretKey = await tools.run(
    `gpg --batch --pinentry-mode loopback --passphrase '' --armor --export-secret-keys ${soon.fingerprint}`,
  );
  const verified = await backupd(['verify', made, '--json'], { BACKUPD_GPG_SECRET_KEY: secretKey });
  expect(JSON.parse(verified.stdout)).toEqual([having({ ok: true, depth: 'content' })]);
});

test('what a command leaves that is killed is gone with the next one', async () => {
  const recipients = { BACKUPD_GPG_RECIPIENT_KEYS: plain.publicKey };
  const { id } = await makeEncryptedBackup(stage, recipients);
  const env = { ...recipients, BACKUPD_GPG_SECRET_KEY: plain.secretKey };
  const dying = await stage.backupd(['restore', 'db', '--at', id, '--yes'], {
    env,
    killAt: 'beside-created',
  });
  expect(dying.exitCode).toBe(137);
  const left = await leftOfGpg(stage);
  expect(left).toContain('/dev/shm/backupd-gpg-');
  expect(left).toContain('gpg-agent');
  // Of what it was given, gpg got its own part alone.
  const seen = await stage.box.exec(['sh', '-c', `grep -al 'PGP [P]RIVATE' /proc/[0-9]*/environ`], {
    user: 'root',
  });
  expect(seen.stdout).toBe('');
  await makeEncryptedBackup(stage, recipients);
  await untilNothingOfGpg(stage);
  expect(await stage.leftovers()).toEqual([]);
});
