import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { Encrypter, KeyRing, Keys, Scheme } from '../core/encryption.ts';
import { BackupdError } from '../core/errors.ts';
import type { BackupId } from '../core/layout.ts';
import { failed, good, type Check } from './check-result.ts';

/** What goes there and back. */
const SAMPLE = Buffer.from('backupd check');

/** Whether what is encrypted from now on can be, and can be read with the secrets that are here, where there are any. */
export async function checkKeys(keys: Keys, signal: AbortSignal): Promise<readonly Check[]> {
  await using ring = keys.ring();
  const checks: Check[] = [];
  const { scheme } = keys;
  if (scheme !== 'none') {
    checks.push(...(await attempt(scheme, () => checkEncryption(keys, ring, scheme, signal))));
  }
  // Those of another scheme are for backups of an earlier time.
  for (const other of keys.secrets.filter((each) => each !== scheme)) {
    checks.push(...(await attempt(other, () => checkSecrets(ring, other, signal))));
  }
  return checks;
}

async function attempt(
  scheme: Scheme,
  look: () => Promise<readonly Check[]>,
): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    return [failed('keys', scheme, error)];
  }
}

async function checkEncryption(
  keys: Keys,
  ring: KeyRing,
  scheme: Scheme,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  await using encrypter = await keys.encrypter(signal);
  const { keyIds } = encrypter.encryption;
  const encrypts = good('keys', scheme, `backups are encrypted for ${keyIds.join(', ')}`);
  const warnings = encrypter.warnings.map(({ message }) => good('keys', scheme, message));
  if (!keys.secrets.includes(scheme)) {
    const absent = good(
      'keys',
      scheme,
      'no secret key is here, which is as it should be: it is for reading only',
    );
    return [encrypts, ...warnings, absent];
  }
  const there = await ring.keyIds(scheme, signal);
  if (!there.some((keyId) => keyIds.includes(keyId))) {
    return [encrypts, ...warnings, notFitting(scheme, there)];
  }
  await goAround(encrypter, ring, signal);
  return [
    encrypts,
    ...warnings,
    good(
      'keys',
      scheme,
      `what is encrypted can be read with the secret key that is here: ${there.join(', ')}`,
    ),
  ];
}

function notFitting(scheme: Scheme, there: readonly string[]): Check {
  const message = `what is encrypted cannot be read with the secret key that is here: ${there.join(', ')}`;
  const hint =
    'Make sure that you have the secret key of one of those that backups are encrypted for, and give that one, or none.';
  return failed('keys', scheme, new BackupdError('key-wrong', message, { hint }));
}

/** Encrypts a little, and reads it again. @throws BackupdError `archive-corrupt` where something else comes out */
async function goAround(encrypter: Encrypter, ring: KeyRing, signal: AbortSignal): Promise<void> {
  const { encryption, encrypt } = encrypter;
  const decrypt = await ring.open({ source: 'check', id: 'check' as BackupId, encryption }, signal);
  const back = new PassThrough();
  const [bytes] = await Promise.all([
    buffer(back),
    pipeline([Readable.from([SAMPLE]), ...encrypt(), ...decrypt(), back], { signal }),
  ]);
  if (!SAMPLE.equals(bytes)) {
    throw new BackupdError('archive-corrupt', 'what was encrypted and read again is not the same');
  }
}

async function checkSecrets(
  ring: KeyRing,
  scheme: Scheme,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const keyIds = await ring.keyIds(scheme, signal);
  return [good('keys', scheme, `the secret key of ${keyIds.join(', ')} is here, for reading only`)];
}
