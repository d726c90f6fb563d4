import { expect, test } from 'vitest';
import { textDecoder } from '../../../../src/sources/postgres/encodings.ts';

test.each([
  ['UTF8', 'c3a9e282ac', 'é€'],
  ['SQL_ASCII', 'c3a9', 'é'],
  ['LATIN1', 'e980', 'é\u0080'],
  ['LATIN2', 'b1', 'ą'],
  ['LATIN9', 'a4', '€'],
  ['LATIN10', 'a4', '€'],
  ['WIN1252', '80', '€'],
  ['WIN1251', 'c6', 'Ж'],
  ['KOI8R', 'd6', 'ж'],
  ['EUC_JP', 'c6fccbdc', '日本'],
  ['EUC_KR', 'c7d1', '한'],
  ['EUC_CN', 'd6d0', '中'],
  ['MULE_INTERNAL', '6f6b', 'ok'],
])('%s', (encoding, hex, text) => {
  expect(textDecoder(encoding)(Buffer.from(hex, 'hex'))).toBe(text);
});

test.each('2 3 4 5 6 7 8 9 10'.split(' '))('LATIN%s can be decoded', (number) => {
  expect(textDecoder(`LATIN${number}`)(Buffer.from('ok\xe1', 'latin1'))).toMatch(/^ok[^\ufffd]$/);
});
