import { expect, test } from 'vitest';
import { readKeyList } from '../../../src/encryption/gpg-keys.ts';

/** Lines as gpg 2.4 writes them, shortened. */
function key(
  primary: { readonly validity?: string; readonly expires?: string; readonly abilities?: string },
  ...subkeys: readonly { validity?: string; expires?: string; abilities?: string }[]
): string {
  const { validity = 'u', expires = '', abilities = 'scESC' } = primary;
  return [
    'tru::1:1795863902:0:3:1:5',
    `pub:${validity}:255:22:AAAA:1795000000:${expires}::u:::${abilities}:::::ed25519:::0:`,
    'fpr:::::::::F00D:',
    `uid:${validity}::::1795000000::ABCD::name::::::::::0:`,
    ...subkeys.flatMap(({ validity = 'u', expires = '', abilities = 'e' }) => [
      `sub:${validity}:255:18:BBBB:1795000000:${expires}:::::${abilities}:::::cv25519::`,
      'fpr:::::::::BEEF:',
    ]),
    '',
  ].join('\n');
}

test('keys are known by the fingerprints of their primary keys', () => {
  const listing = key({}, {}) + key({}, {}).replaceAll('F00D', 'CAFE');
  expect(readKeyList(listing, 'pub').map(({ fingerprint }) => fingerprint)).toEqual([
    'F00D',
    'CAFE',
  ]);
  expect(readKeyList(listing, 'sec')).toEqual([]);
});

test.each([
  ['never', key({}, {}), null],
  ['with the primary key', key({ expires: '1800000000' }, {}), 1_800_000_000_000],
  ['with its only subkey', key({}, { expires: '1800000000' }), 1_800_000_000_000],
  [
    'with the last of its subkeys',
    key({}, { expires: '1800000000' }, { expires: '1900000000' }),
    1_900_000_000_000,
  ],
  ['never, where one subkey does not', key({}, { expires: '1800000000' }, {}), null],
  [
    'without those that are revoked, or for signatures',
    key({}, { validity: 'r' }, { abilities: 's' }, { expires: '1800000000' }),
    1_800_000_000_000,
  ],
])('a key ends %s', (_, listing, expiresAtMs) => {
  expect(readKeyList(listing, 'pub')).toEqual([
    expect.objectContaining({ canEncrypt: true, expiresAtMs }),
  ]);
});

test.each([
  ['e', 'it is expired'],
  ['r', 'it is revoked'],
  ['d', 'it is disabled'],
  ['i', 'it is invalid'],
  ['u', 'none of its subkeys'],
])('why a key cannot be encrypted for is said: %s', (validity, flaw) => {
  expect(readKeyList(key({ validity, abilities: 'scSC' }), 'pub')).toEqual([
    expect.objectContaining({
      canEncrypt: false,
      flaw: expect.stringContaining(flaw) as unknown,
    }),
  ]);
});
