import type { Encrypter } from '../core/encryption.ts';
import { BackupdError } from '../core/errors.ts';
import type { Warning } from '../core/manifest.ts';
import type { Secret } from '../core/secret.ts';
import { openGpgHome } from './gpg-home.ts';
import { readKeyList, type GpgKey } from './gpg-keys.ts';
import { reasonOf, runGpg, statusOf, type GpgExit, type GpgSetting } from './gpg-process.ts';
import { gpgStage } from './gpg-stage.ts';
import type { SecretKeys } from './secret-keys.ts';

/** What an encrypter is tried with. */
const SAMPLE = 'backupd';
/** How long before a key expires that becomes a warning. */
const WARN_MS = 30 * 86_400_000;
const DAY_MS = 86_400_000;

/**
 * Encrypts for every one of these armoured public keys, by gpg.
 * @throws BackupdError `config-invalid` naming the key that cannot be encrypted for; `storage-unavailable`
 */
export async function openGpgEncrypter(armoured: string, signal: AbortSignal): Promise<Encrypter> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await openGpgHome());
  const setting = { home: home.path, passphrase: null };
  const keys = await importKeys(setting, { armoured, kind: 'pub' }, signal);
  const unusable = keys.filter(({ canEncrypt }) => !canEncrypt);
  if (unusable.length > 0) {
    throw cannotEncrypt(unusable.map(({ fingerprint, flaw }) => `${fingerprint}: ${flaw}`));
  }
  const args = encryptionArgs(keys);
  const tried = await runGpg(setting, args, SAMPLE, signal);
  const wrong = judgeEncryption(tried);
  if (wrong !== null) {
    throw cannotEncrypt(
      keys.map(({ fingerprint }) => fingerprint),
      wrong,
    );
  }
  const kept = stack.move();
  return {
    encryption: { scheme: 'gpg', keyIds: keys.map(({ fingerprint }) => fingerprint) },
    warnings: keys.flatMap((key) => warnOf(key, Date.now())),
    encrypt: () => [gpgStage(setting, args, judgeEncryption)],
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

/**
 * The armoured secret keys, which may be protected by one passphrase.
 * @throws BackupdError `config-invalid`, `storage-unavailable`
 */
export async function openGpgSecrets(
  armoured: Secret<string>,
  passphrase: Secret<string> | null,
  signal: AbortSignal,
): Promise<SecretKeys> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await openGpgHome());
  const setting = { home: home.path, passphrase };
  const keys = await importKeys(setting, { armoured: armoured.reveal(), kind: 'sec' }, signal);
  const kept = stack.move();
  return {
    keyIds: keys.map(({ fingerprint }) => fingerprint),
    unlock: async (keyIds, signal) => unlock(setting, keyIds, signal),
    decrypt: () => [gpgStage(setting, DECRYPTION_ARGS, judgeDecryption)],
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

async function importKeys(
  setting: GpgSetting,
  { armoured, kind }: { readonly armoured: string; readonly kind: 'pub' | 'sec' },
  signal: AbortSignal,
): Promise<readonly GpgKey[]> {
  const imported = await runGpg(setting, ['--import'], armoured, signal);
  const list = kind === 'pub' ? '--list-keys' : '--list-secret-keys';
  const listed = await runGpg(setting, ['--with-colons', list], '', signal);
  const keys = readKeyList(listed.stdout, kind);
  if (imported.exitCode !== 0 || listed.exitCode !== 0 || keys.length === 0) {
    const option = kind === 'pub' ? 'BACKUPD_GPG_RECIPIENT_KEYS' : 'BACKUPD_GPG_SECRET_KEY';
    const what = kind === 'pub' ? 'public' : 'secret';
    const command = kind === 'pub' ? '--export' : '--export-secret-keys';
    throw new BackupdError(
      'config-invalid',
      `${option}: gpg finds no ${what} key in it that it can use: ${reasonOf(imported)}`,
      { hint: `Give what "gpg --armor ${command} KEY" writes, all of it.` },
    );
  }
  return keys;
}

function encryptionArgs(keys: readonly GpgKey[]): readonly string[] {
  return [
    // What comes is compressed already.
    '--compress-algo',
    'none',
    ...keys.flatMap(({ fingerprint }) => ['--recipient', fingerprint]),
    '--encrypt',
  ];
}

const DECRYPTION_ARGS = ['--decrypt'];

function cannotEncrypt(what: readonly string[], cause?: BackupdError): BackupdError {
  const why = cause === undefined ? '' : `: ${cause.message}`;
  return new BackupdError(
    'config-invalid',
    `BACKUPD_GPG_RECIPIENT_KEYS: nothing can be encrypted for key ${what.join(', key ')}${why}`,
    {
      cause,
      hint: 'Give a key that is neither expired nor revoked; "gpg --show-keys" shows what it is good for.',
    },
  );
}

function warnOf({ fingerprint, expiresAtMs }: GpgKey, nowMs: number): readonly Warning[] {
  if (expiresAtMs === null || expiresAtMs - nowMs > WARN_MS) {
    return [];
  }
  const days = Math.floor((expiresAtMs - nowMs) / DAY_MS);
  const at = new Date(expiresAtMs).toISOString().slice(0, 10);
  return [
    {
      code: 'key-expiring',
      message: `key ${fingerprint} expires in ${days} ${days === 1 ? 'day' : 'days'}, on ${at}: from then on no backup can be made with it`,
    },
  ];
}

/** Whether gpg has encrypted all: null, or what is wrong. */
function judgeEncryption(exit: GpgExit): BackupdError | null {
  if (exit.exitCode === 0 && statusOf(exit, 'END_ENCRYPTION') !== null) {
    return null;
  }
  return new BackupdError('dump-failed', `gpg could not encrypt: ${reasonOf(exit)}`, {
    hint: 'What it said is the reason. "backupd check" tries the keys.',
  });
}

/** Whether gpg has decrypted all, and found it authentic: null, or what is wrong. */
function judgeDecryption(exit: GpgExit): BackupdError | null {
  if (
    exit.exitCode === 0 &&
    statusOf(exit, 'DECRYPTION_OKAY') !== null &&
    statusOf(exit, 'GOODMDC') !== null
  ) {
    return null;
  }
  if (exit.exitCode === null) {
    // That says nothing about the file.
    return new BackupdError('internal', `gpg did not come to its end: ${reasonOf(exit)}`, {
      hint: 'Somebody killed it, perhaps for lack of memory: dmesg on the host names the victims of the out-of-memory killer. Try again.',
    });
  }
  return new BackupdError('archive-corrupt', `gpg cannot decrypt it: ${reasonOf(exit)}`);
}

async function unlock(
  setting: GpgSetting,
  keyIds: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const keyId of keyIds) {
    // Checks the passphrase, and so that the secret is there; changes nothing.
    const tried = await runGpg(setting, ['--dry-run', '--passwd', keyId], '', signal);
    if (tried.exitCode === 0) {
      return;
    }
  }
  const named = keyIds.join(', ');
  if (setting.passphrase === null) {
    throw new BackupdError(
      'key-missing',
      `the secret key ${named} is protected, and no passphrase is given`,
      {
        hint: 'Give it as BACKUPD_GPG_PASSPHRASE, or as a file that BACKUPD_GPG_PASSPHRASE_FILE names.',
      },
    );
  }
  throw new BackupdError(
    'key-wrong',
    `the passphrase that is given does not open the secret key ${named}`,
    {
      hint: 'Correct BACKUPD_GPG_PASSPHRASE. A file that holds it may end with one line end, and no more.',
    },
  );
}
