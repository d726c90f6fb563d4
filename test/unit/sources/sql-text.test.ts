import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { COMPLETE_LINE, sqlReader } from '../../../src/sources/sql-text.ts';
import { anyCuts, cutAt } from '../../support/archives.ts';

const SCRIPT = Buffer.from(`CREATE ROLE app;\n${COMPLETE_LINE}`);

function isWhole(pieces: readonly Uint8Array[]): boolean {
  const reader = sqlReader();
  for (const piece of pieces) {
    reader.push(piece);
  }
  try {
    reader.end();
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'archive-corrupt' });
    return false;
  }
}

test('a script with its last line is whole, however it comes', () => {
  fc.assert(
    fc.property(anyCuts(), (cuts) => {
      expect(isWhole(cutAt(SCRIPT, cuts))).toBe(true);
    }),
  );
  expect(isWhole([...SCRIPT].map((byte) => Uint8Array.of(byte)))).toBe(true);
});

test('a script that is cut anywhere is not', () => {
  for (let length = 0; length < SCRIPT.length; length += 1) {
    expect(isWhole([SCRIPT.subarray(0, length)])).toBe(false);
  }
});

test.each([
  ['something behind it', `${SCRIPT.toString()}\n`],
  ['no line of its own', `CREATE ROLE app; ${COMPLETE_LINE}`],
])('a script is not whole with %s', (_what, text) => {
  expect(isWhole([Buffer.from(text)])).toBe(false);
});
