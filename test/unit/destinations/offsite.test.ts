import { expect, it } from 'vitest';
import { isFarAway } from '../../../src/destinations/offsite.ts';

it.each([
  ['52.218.0.1', true],
  ['[2a05:d018::1]', true],
  ['127.0.0.1', false],
  ['10.1.2.3', false],
  ['172.18.0.2', false],
  ['172.32.0.1', true],
  ['192.168.1.10', false],
  ['100.64.0.1', false],
  ['169.254.169.254', false],
  ['[::1]', false],
  ['[fd00::1]', false],
  ['[fe80::1]', false],
  ['[::ffff:10.0.0.1]', false],
  ['localhost', false],
  // Nothing is claimed of what cannot be found.
  ['nowhere.invalid', false],
])('%s: %s', async (host, expected) => {
  expect(await isFarAway(host)).toBe(expected);
});
