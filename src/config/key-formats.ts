import { createRequire } from 'node:module';
import { secret, type Secret } from '../core/secret.ts';
import { FormatError, type Format } from './formats.ts';

/** Whoever has no keys does without the memory that reading them takes; and formats are read at once. */
const load = createRequire(import.meta.url);

/** X25519 recipients of age, without repetitions. */
export const ageRecipients: Format<readonly string[]> = {
  expected:
    'public keys of age, `age1...`, separated by white space or commas; the rest of a line after `#` is a comment',
  parse(text) {
    const words = wordsOf(text);
    if (words.length === 0) {
      throw new FormatError('there is none in it, so nothing would be encrypted');
    }
    for (const [index, word] of words.entries()) {
      checkRecipient(word, index + 1);
    }
    return [...new Set(words)];
  },
};

/** X25519 identities of age. */
export const ageIdentity: Format<Secret<readonly string[]>> = {
  expected: 'secret keys of age, `AGE-SECRET-KEY-1...`, or the content of a file of `age-keygen`',
  parse(text) {
    const words = wordsOf(text);
    if (words.length === 0) {
      throw new FormatError('there is none in it');
    }
    for (const [index, word] of words.entries()) {
      checkIdentity(word, index + 1);
    }
    return secret([...new Set(words)]);
  },
};

/** Armoured public keys of gpg; what they are worth, gpg tells. */
export const gpgPublicKeys: Format<string> = {
  expected: 'what `gpg --armor --export KEY` writes, once or several times',
  parse(text) {
    if (text.includes('BEGIN PGP PRIVATE KEY')) {
      throw new FormatError(
        'there is a secret key in it, which belongs elsewhere: see docs/keys.md',
      );
    }
    return armoured(text, 'PUBLIC');
  },
};

/** Armoured secret keys of gpg. */
export const gpgSecretKeys: Format<Secret<string>> = {
  expected: 'what `gpg --armor --export-secret-keys KEY` writes',
  parse: (text) => secret(armoured(text, 'PRIVATE')),
};

export const passphrase: Format<Secret<string>> = {
  expected: 'a text of one line that is not empty',
  parse(text) {
    if (text === '' || /[\r\n]/.test(text)) {
      throw new FormatError();
    }
    return secret(text);
  },
};

function wordsOf(text: string): readonly string[] {
  return text
    .replaceAll(/#.*/g, '')
    .split(/[\s,]+/)
    .filter((word) => word !== '');
}

/** Kinds that there are and that are not read, by how they begin. */
const OTHER_RECIPIENTS: readonly (readonly [RegExp, string])[] = [
  [/^age1pq1/, 'a post-quantum key (age1pq1...)'],
  [/^age1tag(?:pq)?1/, 'a key of a hardware token (age1tag...)'],
  [/^age1[a-z0-9]+1/, 'a key of a plugin of age'],
  [/^ssh-/, 'a key of SSH'],
  [/^AGE-SECRET-KEY-|^AGE-PLUGIN-/i, 'a secret key, which belongs elsewhere: see docs/keys.md'],
];

const OTHER_IDENTITIES: readonly (readonly [RegExp, string])[] = [
  [/^AGE-SECRET-KEY-PQ-1/i, 'a post-quantum key (AGE-SECRET-KEY-PQ-1...)'],
  [/^AGE-PLUGIN-/i, 'a key of a plugin of age'],
  [/^-----BEGIN/, 'no key of age: those of SSH and keys with a passphrase are not read'],
  [/^age1/, 'a public key, the secret one is beside it in the file of age-keygen'],
];

/** Never says the word itself: it may be a secret that was put here by mistake. */
function checkRecipient(word: string, number: number): void {
  refuseOthers(word, OTHER_RECIPIENTS, number);
  if (!word.startsWith('age1') || !isBech32(word, 'age')) {
    throw new FormatError(`${ordinal(number)} is misspelt, or no public key of age`);
  }
}

function checkIdentity(word: string, number: number): void {
  refuseOthers(word, OTHER_IDENTITIES, number);
  if (!word.startsWith('AGE-SECRET-KEY-1') || !isBech32(word, 'age-secret-key-')) {
    throw new FormatError(`${ordinal(number)} is misspelt, or no secret key of age`);
  }
}

function refuseOthers(
  word: string,
  others: readonly (readonly [RegExp, string])[],
  number: number,
): void {
  const [, what] = others.find(([beginning]) => beginning.test(word)) ?? [];
  if (what !== undefined) {
    throw new FormatError(`${ordinal(number)} is ${what}`);
  }
}

function ordinal(number: number): string {
  return `number ${number}`;
}

/** Whether it is 32 bytes under this prefix, with a checksum that fits. */
function isBech32(word: string, prefix: string): boolean {
  const { bech32 } = load('@scure/base') as typeof import('@scure/base');
  const decoded = bech32.decodeUnsafe(word);
  if (decoded?.prefix !== prefix) {
    return false;
  }
  return bech32.fromWordsUnsafe(decoded.words)?.length === 32;
}

function armoured(text: string, kind: 'PUBLIC' | 'PRIVATE'): string {
  const edges = ['BEGIN', 'END'].map((edge) => `-----${edge} PGP ${kind} KEY BLOCK-----`);
  if (!edges.every((edge) => text.includes(edge))) {
    throw new FormatError('it has no beginning and end of one');
  }
  return text;
}
