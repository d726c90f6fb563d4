import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { loadConfig, type LoadedConfig } from '../../../src/config/load.ts';
import { ageIdentity, ageRecipients } from '../../../src/config/key-formats.ts';
import { newAgeKey } from '../../support/keys.ts';
import { containing } from './matchers.ts';
import { textFiles } from './text-files.ts';

const [ONE, OTHER] = await Promise.all([newAgeKey(), newAgeKey()]);
const PUBLIC = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDM\n-----END PGP PUBLIC KEY BLOCK-----\n';
const PRIVATE = PUBLIC.replaceAll('PUBLIC', 'PRIVATE');
/** As `age-keygen` writes it. */
const KEY_FILE = `# created: 2026-11-28T11:00:00Z\n# public key: ${ONE.recipient}\n${ONE.identity}\n`;

async function load(
  environment: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): Promise<LoadedConfig> {
  return loadConfig(environment, textFiles(files));
}

function shown(config: LoadedConfig, name: string): string | null | undefined {
  return config.options.find((option) => option.name === name)?.value;
}

/** All that is ever shown of a configuration. */
function everything({ options, problems, values }: LoadedConfig): string {
  return JSON.stringify({ options, problems, values }) + inspect({ values }, { depth: null });
}

/** One character of a key is another one. */
function misspell(key: string): string {
  const last = key.toLowerCase().endsWith('q') ? 'p' : 'q';
  return key.slice(0, -1) + (key === key.toUpperCase() ? last.toUpperCase() : last);
}

describe('recipients of age', () => {
  it.each([
    `${ONE.recipient} ${OTHER.recipient}`,
    `${ONE.recipient},${OTHER.recipient}`,
    `${ONE.recipient}, ${OTHER.recipient},`,
    `# Ann\n${ONE.recipient} # her laptop\n\n# Bob\r\n${OTHER.recipient}\n`,
    `${ONE.recipient}\t${OTHER.recipient} ${ONE.recipient}`,
  ])('are separated by blanks, commas or lines, with comments: %#', (text) => {
    expect(ageRecipients.parse(text)).toEqual([ONE.recipient, OTHER.recipient]);
  });

  it.each([
    ['', 'so nothing would be encrypted'],
    ['# age1later', 'so nothing would be encrypted'],
    ['age1', 'number 1 is misspelt'],
    [misspell(ONE.recipient), 'number 1 is misspelt'],
    [`${ONE.recipient} ${OTHER.recipient.slice(0, -1)}`, 'number 2 is misspelt'],
    [ONE.recipient.toUpperCase(), 'number 1 is misspelt'],
    [`age1pq1${ONE.recipient.slice(4)}`, 'a post-quantum key (age1pq1...)'],
    [`age1tag1${ONE.recipient.slice(4)}`, 'a key of a hardware token'],
    [`age1yubikey1${ONE.recipient.slice(4)}`, 'a key of a plugin of age'],
    ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI', 'a key of SSH'],
    [ONE.identity, 'a secret key, which belongs elsewhere'],
    [ONE.identity.toLowerCase(), 'a secret key, which belongs elsewhere'],
    ['backups@example.org', 'number 1 is misspelt, or no public key of age'],
  ])('are refused where they are something else: %#', async (text, why) => {
    const config = await load({ BACKUPD_AGE_RECIPIENTS: text });
    expect(config.problems).toEqual([
      {
        source: null,
        option: 'BACKUPD_AGE_RECIPIENTS',
        message: containing(why),
        hint: null,
        severity: 'fatal',
      },
    ]);
    if (text.length > 20) {
      expect(everything(config)).not.toContain(text.slice(12));
    }
  });

  it('are shown as they are understood', async () => {
    const config = await load(
      { BACKUPD_AGE_RECIPIENTS_FILE: '/recipients' },
      { '/recipients': `# a comment\n${ONE.recipient}\n${OTHER.recipient}\n` },
    );
    expect(config.problems).toEqual([]);
    expect(shown(config, 'BACKUPD_AGE_RECIPIENTS')).toBe(`${ONE.recipient} ${OTHER.recipient}`);
    expect(config.values.ageRecipients).toEqual([ONE.recipient, OTHER.recipient]);
  });

  it('that are empty are no way to turn encryption off', async () => {
    for (const name of ['BACKUPD_AGE_RECIPIENTS', 'BACKUPD_GPG_RECIPIENT_KEYS']) {
      const direct = await load({ [name]: '' });
      expect(direct.problems).toEqual([expect.objectContaining({ severity: 'fatal' })]);
      const inFile = await load({ [`${name}_FILE`]: '/empty' }, { '/empty': '\n' });
      expect(inFile.problems).toEqual([expect.objectContaining({ severity: 'fatal' })]);
      expect((await load({ [`${name}_FILE`]: '' })).problems).toHaveLength(1);
    }
  });
});

describe('identities of age', () => {
  it('are what a file of age-keygen has', async () => {
    const config = await load({ BACKUPD_AGE_IDENTITY_FILE: '/key' }, { '/key': KEY_FILE });
    expect(config.problems).toEqual([]);
    expect(config.values.ageIdentity?.reveal()).toEqual([ONE.identity]);
    expect(shown(config, 'BACKUPD_AGE_IDENTITY')).toBe('[hidden]');
    expect(everything(config)).not.toContain(ONE.identity);
  });

  it('can be several', () => {
    const text = `${KEY_FILE}${KEY_FILE.replaceAll(ONE.identity, OTHER.identity)}`;
    expect(ageIdentity.parse(text).reveal()).toEqual([ONE.identity, OTHER.identity]);
  });

  it.each([
    [misspell(ONE.identity), 'number 1 is misspelt'],
    [`${ONE.identity} ${OTHER.identity.slice(0, -2)}`, 'number 2 is misspelt'],
    [ONE.identity.toLowerCase(), 'number 1 is misspelt'],
    [`AGE-SECRET-KEY-PQ-1${ONE.identity.slice(16)}`, 'a post-quantum key'],
    [`AGE-PLUGIN-YUBIKEY-1${ONE.identity.slice(16)}`, 'a key of a plugin of age'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA', 'those of SSH'],
    ['-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3Jn', 'keys with a passphrase'],
    [ONE.recipient, 'a public key, the secret one is beside it'],
    ['hunter2-hunter2-hunter2', 'no secret key of age'],
  ])('are refused where they are something else, and not shown: %#', async (text, why) => {
    const config = await load({ BACKUPD_AGE_IDENTITY: text });
    expect(config.problems).toEqual([
      expect.objectContaining({ message: containing(why), severity: 'fatal' }),
    ]);
    expect(shown(config, 'BACKUPD_AGE_IDENTITY')).toBe('[hidden]');
    expect(everything(config)).not.toContain(text.slice(10));
  });

  it('that are empty are none', async () => {
    const config = await load({ BACKUPD_AGE_IDENTITY: '', BACKUPD_GPG_SECRET_KEY: '' });
    expect(config.problems).toEqual([]);
    expect(config.values.ageIdentity).toBeNull();
  });
});

describe('keys of gpg', () => {
  it('are armoured', async () => {
    const config = await load({
      BACKUPD_GPG_RECIPIENT_KEYS: PUBLIC,
      BACKUPD_GPG_SECRET_KEY: PRIVATE,
      BACKUPD_GPG_PASSPHRASE: 'hunter2',
    });
    expect(config.problems).toEqual([]);
    expect(config.values.gpgRecipientKeys).toBe(PUBLIC);
    expect(config.values.gpgSecretKey?.reveal()).toBe(PRIVATE);
    expect(config.values.gpgPassphrase?.reveal()).toBe('hunter2');
    expect(shown(config, 'BACKUPD_GPG_RECIPIENT_KEYS')).toBe('[armoured]');
    expect(everything(config)).not.toMatch(/hunter2|BEGIN PGP PRIVATE/);
  });

  it.each([
    [{ BACKUPD_GPG_RECIPIENT_KEYS: 'backups@example.org' }, 'no beginning and end'],
    [{ BACKUPD_GPG_RECIPIENT_KEYS: PUBLIC.slice(0, -10) }, 'no beginning and end'],
    [{ BACKUPD_GPG_RECIPIENT_KEYS: PUBLIC + PRIVATE }, 'there is a secret key in it'],
    [{ BACKUPD_GPG_SECRET_KEY: PUBLIC }, 'no beginning and end'],
    [{ BACKUPD_GPG_PASSPHRASE: 'two\nlines' }, 'a text of one line'],
  ])('are refused where they are something else, and not shown: %#', async (environment, why) => {
    const config = await load(environment);
    expect(config.problems).toEqual([
      expect.objectContaining({ message: containing(why), severity: 'fatal' }),
    ]);
    expect(everything(config)).not.toMatch(/mDM|example.org|lines/);
  });

  it('are not used beside those of age', async () => {
    const config = await load(
      { BACKUPD_AGE_RECIPIENTS: ONE.recipient, BACKUPD_CONFIG: '/c.yml' },
      { '/c.yml': `gpgRecipientKeys: |\n  ${PUBLIC.replaceAll('\n', '\n  ')}` },
    );
    expect(config.problems).toEqual([
      expect.objectContaining({
        option: 'gpgRecipientKeys in /c.yml',
        message: containing('BACKUPD_AGE_RECIPIENTS are both set'),
        severity: 'fatal',
      }),
    ]);
  });
});

it('a secret in the wrong shape is not shown either', async () => {
  const config = await load(
    { BACKUPD_CONFIG: '/c.yml' },
    { '/c.yml': `ageIdentity: [${ONE.identity}]` },
  );
  expect(config.problems).toEqual([
    expect.objectContaining({ option: 'ageIdentity in /c.yml', severity: 'fatal' }),
  ]);
  expect(everything(config)).not.toContain(ONE.identity);
});
