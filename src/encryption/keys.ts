import {
  noStages,
  SCHEMES,
  type EncryptedBackup,
  type Encrypter,
  type KeyRing,
  type Keys,
  type Scheme,
} from '../core/encryption.ts';
import { BackupdError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { findGpgHomes } from './gpg-places.ts';
import type { SecretKeys } from './secret-keys.ts';

/** What is configured, null where it is not. At most one scheme has recipients. */
export interface ConfiguredKeys {
  /** `age1...` */
  readonly ageRecipients: readonly string[] | null;
  /** `AGE-SECRET-KEY-1...` */
  readonly ageIdentity: Secret<readonly string[]> | null;
  /** Armoured, as many as there are. */
  readonly gpgRecipientKeys: string | null;
  readonly gpgSecretKey: Secret<string> | null;
  readonly gpgPassphrase: Secret<string> | null;
}

const UNENCRYPTED: Encrypter = {
  encryption: { scheme: 'none', keyIds: [] },
  warnings: [],
  encrypt: noStages,
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** Removes what gpg left in homes of processes that died. */
export async function sweepKeys(): Promise<void> {
  if ((await findGpgHomes()).length > 0) {
    const { sweepGpgHomes } = await import('./gpg-home.ts');
    await sweepGpgHomes();
  }
}

/** The keys that are configured. What works with them is loaded when it is needed: most do without the memory it takes. */
export function openKeys(configured: ConfiguredKeys): Keys {
  const { ageRecipients, ageIdentity, gpgRecipientKeys, gpgSecretKey } = configured;
  const isConfigured = { age: ageIdentity !== null, gpg: gpgSecretKey !== null };
  return {
    scheme: ageRecipients !== null ? 'age' : gpgRecipientKeys !== null ? 'gpg' : 'none',
    secrets: SCHEMES.filter((scheme) => isConfigured[scheme]),
    async encrypter(signal) {
      await sweepKeys();
      if (ageRecipients !== null) {
        const { openAgeEncrypter } = await import('./age.ts');
        return openAgeEncrypter(ageRecipients);
      }
      if (gpgRecipientKeys !== null) {
        const { openGpgEncrypter } = await import('./gpg.ts');
        return openGpgEncrypter(gpgRecipientKeys, signal);
      }
      return UNENCRYPTED;
    },
    ring: () => keyRing(configured),
  };
}

function keyRing(configured: ConfiguredKeys): KeyRing {
  const opened = new AsyncDisposableStack();
  const known = new Map<Scheme, SecretKeys | null>();

  async function secretsOf(scheme: Scheme, signal: AbortSignal): Promise<SecretKeys | null> {
    const before = known.get(scheme);
    if (before !== undefined) {
      return before;
    }
    const secrets = await openSecrets(configured, scheme, signal);
    known.set(scheme, opened.use(secrets));
    return secrets;
  }

  return {
    async keyIds(scheme, signal) {
      return (await secretsOf(scheme, signal))?.keyIds ?? [];
    },
    async open(backup, signal) {
      const { scheme, keyIds } = backup.encryption;
      if (scheme === 'none') {
        return noStages;
      }
      if (!SCHEMES.includes(scheme)) {
        throw unknownScheme(backup);
      }
      const secrets = await secretsOf(scheme, signal);
      if (secrets === null) {
        throw keyMissing(backup, scheme);
      }
      const fitting = keyIds.filter((keyId) => secrets.keyIds.includes(keyId));
      if (fitting.length === 0) {
        throw keyWrong(backup, secrets.keyIds);
      }
      await secrets.unlock(fitting, signal);
      return secrets.decrypt;
    },
    [Symbol.asyncDispose]: async () => opened.disposeAsync(),
  };
}

async function openSecrets(
  { ageIdentity, gpgSecretKey, gpgPassphrase }: ConfiguredKeys,
  scheme: Scheme,
  signal: AbortSignal,
): Promise<SecretKeys | null> {
  if (scheme === 'age') {
    return ageIdentity === null ? null : (await import('./age.ts')).openAgeIdentities(ageIdentity);
  }
  return gpgSecretKey === null
    ? null
    : (await import('./gpg.ts')).openGpgSecrets(gpgSecretKey, gpgPassphrase, signal);
}

function unknownScheme({ source, id, encryption }: EncryptedBackup): BackupdError {
  return new BackupdError(
    'format-unsupported',
    `backup ${id} of "${source}" is encrypted with ${JSON.stringify(encryption.scheme)}, which this backupd does not know`,
    { hint: 'Use the backupd version that wrote it, or a newer one.' },
  );
}

const OPTIONS = {
  age: 'BACKUPD_AGE_IDENTITY',
  gpg: 'BACKUPD_GPG_SECRET_KEY',
} as const satisfies Record<Scheme, string>;

function describe({ source, id, encryption }: EncryptedBackup): string {
  return `backup ${id} of "${source}" is encrypted with ${encryption.scheme} for ${encryption.keyIds.join(', ')}`;
}

function keyMissing(backup: EncryptedBackup, scheme: Scheme): BackupdError {
  const option = OPTIONS[scheme];
  return new BackupdError('key-missing', `${describe(backup)}, and no key is here to read it`, {
    hint: `Give the secret key to this command alone: "docker exec -e ${option} ..." passes on what ${option} is where you type it, "docker exec -e ${option}_FILE=/path ..." names a file in the container; with "docker run" the same, before the name of the image, and "-v /path/on/this/host:/run/key:ro" for the file. docs/keys.md has them in full.`,
  });
}

function keyWrong(backup: EncryptedBackup, there: readonly string[]): BackupdError {
  return new BackupdError(
    'key-wrong',
    `${describe(backup)}, the key that is here is ${there.join(', ')}`,
    {
      hint: 'Give the secret key of one of those it is encrypted for; several may be given at once.',
    },
  );
}
