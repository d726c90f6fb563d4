import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { Keys } from '../../src/core/encryption.ts';
import { MANIFEST_FILE } from '../../src/core/layout.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { secret } from '../../src/core/secret.ts';
import { openKeys } from '../../src/encryption/keys.ts';
import { startContainer } from './test-container.ts';

/** Both halves of a key of age. */
export interface AgeKey {
  readonly identity: string;
  readonly recipient: string;
}

export async function newAgeKey(): Promise<AgeKey> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** Keys as they would be configured. */
export function ageKeys(configured: {
  readonly recipients?: readonly string[];
  readonly identities?: readonly string[];
}): Keys {
  return openKeys({
    ageRecipients: configured.recipients ?? null,
    ageIdentity: configured.identities === undefined ? null : secret(configured.identities),
    gpgRecipientKeys: null,
    gpgSecretKey: null,
    gpgPassphrase: null,
  });
}

/** Has the stock age, gpg and zstd. */
const TOOLS = 'backupd-test/key-tools:1';

/** A container with the stock tools, and a folder of the host at the same path in it. */
export interface KeyTools extends AsyncDisposable {
  /** Runs a script of bash; what it printed. @throws Error where it fails */
  run(script: string, input?: string): Promise<string>;
  /** Makes a key of gpg without a passphrase, or with this one; its fingerprint. */
  makeGpgKey(name: string, options?: GpgKeyOptions): Promise<GpgKeyPair>;
}

export interface GpgKeyOptions {
  /** Default: none. */
  readonly passphrase?: string;
  /** As gpg takes it: `never`, `10d`, `seconds=5`. Default: `never` */
  readonly expires?: string;
}

export interface GpgKeyPair {
  readonly fingerprint: string;
  /** Both armoured. */
  readonly publicKey: string;
  readonly secretKey: string;
}

export async function startKeyTools(dir: string): Promise<KeyTools> {
  const container = await startContainer({
    image: TOOLS,
    volumes: [`${dir}:${dir}`],
    // So that what it writes can be read and removed from here.
    user: `${process.getuid?.()}:${process.getgid?.()}`,
    env: { HOME: '/tmp' },
    network: 'none',
    args: ['sleep', 'infinity'],
    more: ['--init'],
  });

  async function run(script: string, input?: string): Promise<string> {
    const { exitCode, stdout, stderr } = await container.exec(
      ['bash', '-euo', 'pipefail', '-c', script],
      input === undefined ? {} : { input },
    );
    if (exitCode !== 0) {
      throw new Error(`the script ended with ${exitCode}: ${stderr}${stdout}`);
    }
    return stdout;
  }

  return {
    run,
    async makeGpgKey(name, { passphrase = '', expires = 'never' } = {}) {
      const gpg = `gpg --batch --pinentry-mode loopback --passphrase '${passphrase}'`;
      await run(`${gpg} --quiet --quick-gen-key '${name}' future-default default '${expires}'`);
      const listed = await run(`gpg --with-colons --list-keys '=${name}'`);
      return {
        fingerprint: /^fpr:+([0-9A-F]+):/m.exec(listed)?.[1] ?? '',
        publicKey: await run(`gpg --armor --export '=${name}'`),
        secretKey: await run(`${gpg} --armor --export-secret-keys '=${name}'`),
      };
    },
    [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
  };
}

/** Changes what is stored of a file of a backup, and makes the manifest fit: what is left to see it is the encryption. */
export async function alterArchive(
  folder: string,
  name: string,
  change: (stored: Buffer) => Buffer,
): Promise<void> {
  const stored = change(await readFile(join(folder, name)));
  await writeFile(join(folder, name), stored);
  const path = join(folder, MANIFEST_FILE);
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Manifest;
  const files = manifest.files.map((file) =>
    file.name === name
      ? {
          ...file,
          storedBytes: stored.length,
          sha256: createHash('sha256').update(stored).digest('hex'),
        }
      : file,
  );
  await writeFile(path, JSON.stringify({ ...manifest, files }));
}
