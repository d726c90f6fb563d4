import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { Keys } from '../../src/core/encryption.ts';
import { secret } from '../../src/core/secret.ts';
import { openKeys } from '../../src/encryption/keys.ts';
import type { CommandBox } from './command-box.ts';
import { startContainer } from './test-container.ts';
import { waitFor } from './wait-for.ts';

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

/** Has the stock age, aws, gpg, rclone and zstd. */
export const STOCK_TOOLS = 'backupd-test/key-tools:1';

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
    image: STOCK_TOOLS,
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

/** Homes of gpg in a container of backupd, and what runs in them; empty where all is well. */
export async function leftOfGpg({ box }: Pick<CommandBox, 'box'>): Promise<string> {
  const script = String.raw`
    ls -d /dev/shm/backupd-gpg-* /tmp/backupd-gpg-* 2>/dev/null
    for dir in /proc/[0-9]*; do
      tr '\000' ' ' <"$dir/cmdline" | grep -a '^\(gpg\|gpg-agent\|keyboxd\|scdaemon\) '
    done 2>/dev/null
    true`;
  return (await box.exec(['sh', '-c', script], { user: 'root' })).stdout;
}

/** Waits until no gpg, no agent and no folder of theirs is left. */
export async function untilNothingOfGpg(box: Pick<CommandBox, 'box'>): Promise<void> {
  await waitFor('end of gpg', async () => (await leftOfGpg(box)) === '');
}
