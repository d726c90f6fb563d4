import type { Duplex } from 'node:stream';
import type { Encryption, Manifest, Warning } from './manifest.ts';

/** How archives can be encrypted. */
export const SCHEMES = ['age', 'gpg'] as const;
export type Scheme = (typeof SCHEMES)[number];

/**
 * Makes the streams, one behind the other, that the bytes of one file go through: fresh ones at each call, none where
 * nothing is to be done. They belong to the caller, and whoever destroys one ends what works behind it.
 */
export type Stages = () => readonly Duplex[];

/** Nothing is to be done. */
export function noStages(): readonly Duplex[] {
  return [];
}

/** Encrypts the files of one run. It was tried when it was made, so that a key that cannot be used is known before a dump. */
export interface Encrypter extends AsyncDisposable {
  /** For the manifest. */
  readonly encryption: Encryption;
  /** What will keep it from encrypting before long. */
  readonly warnings: readonly Warning[];
  /** A stream of these fails with BackupdError `dump-failed` where what encrypts fails. */
  readonly encrypt: Stages;
}

/** What of a backup says how it is encrypted. */
export type EncryptedBackup = Pick<Manifest, 'source' | 'id' | 'encryption'>;

/** The secrets there are, opened as far as they were needed, until it is disposed. */
export interface KeyRing extends AsyncDisposable {
  /** Public names of the secrets of a scheme; empty where there are none. @throws BackupdError `config-invalid` */
  keyIds(scheme: Scheme, signal: AbortSignal): Promise<readonly string[]>;
  /**
   * What decrypts the files of a backup. Its streams give nothing on as a success that is not authenticated, and fail with
   * BackupdError `archive-corrupt` or `format-unsupported`; those of age give no byte that is not authenticated. They work
   * until the ring is disposed.
   * @throws BackupdError `key-missing`, `key-wrong`, `format-unsupported`, `config-invalid`
   */
  open(backup: EncryptedBackup, signal: AbortSignal): Promise<Stages>;
}

/** The keys that are configured. */
export interface Keys {
  /** How new backups are encrypted. */
  readonly scheme: Encryption['scheme'];
  /** The schemes of which a secret is there. */
  readonly secrets: readonly Scheme[];
  /** Makes and tries what encrypts a run. @throws BackupdError `config-invalid` naming the key that cannot be used */
  encrypter(signal: AbortSignal): Promise<Encrypter>;
  /** Opens nothing yet. */
  ring(): KeyRing;
}
