import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { rowCounter } from '../../../../src/sources/mysql/row-counter.ts';

function count(text: string, cutAt: readonly number[] = []): Record<string, number> {
  const bytes = Buffer.from(text);
  const counter = rowCounter();
  let from = 0;
  for (const to of [...cutAt.toSorted((one, other) => one - other), bytes.length]) {
    counter.push(bytes.subarray(from, to));
    from = to;
  }
  return Object.fromEntries(counter.rows);
}

test.each([
  ['nothing', '', {}],
  ['statements that are no INSERT', 'CREATE TABLE `t` (\n  `a` int\n);\nSELECT (1),(2);\n', {}],
  ['a row', 'INSERT INTO `t` VALUES (1);\n', { t: 1 }],
  ['rows', "INSERT INTO `t` VALUES (1,'a'),(2,'b'),(3,NULL);\n", { t: 3 }],
  [
    'several statements',
    'INSERT INTO `t` VALUES (1),(2);\nINSERT INTO `t` VALUES (3);\n',
    { t: 3 },
  ],
  ['rows in lines of their own', "INSERT INTO `t` VALUES\n(1,';'),\n(2,'\n');\n", { t: 2 }],
  ['named columns', 'INSERT INTO `t` (`a`, `b)(V`) VALUES (1,2),(3,4);\n', { t: 2 }],
  [
    'what looks like rows in a string',
    String.raw`INSERT INTO ${'`t`'} VALUES ('),(\'),(\\'),('''),(');` + '\n',
    { t: 2 },
  ],
  ['parentheses in values', 'INSERT INTO `t` VALUES ((1)),(f(2,(3)));\n', { t: 2 }],
  [
    'odd names',
    'INSERT INTO `a``b (c) VALUES` VALUES (1);\nINSERT INTO `ü 😀` VALUES (1),(2);\n',
    { 'a`b (c) VALUES': 1, 'ü 😀': 2 },
  ],
  [
    'what only looks like an INSERT',
    '-- INSERT INTO `t` VALUES (1);\n INSERT INTO `t` VALUES (1);\n',
    {},
  ],
  ['one that is cut', 'INSERT INTO `t` VALUES (1)', {}],
])('%s', (_what, text, rows) => {
  expect(count(text)).toEqual(rows);
});

test('wherever the text is cut, the count is the same', () => {
  const text =
    "CREATE TABLE `x` (\n`a` int);\nINSERT INTO `a``b` (`V`) VALUES (1,'it\\'s),('),(2,'');\nINSERT INTO `c` VALUES (0x00);\n";
  const whole = count(text);
  expect(whole).toEqual({ 'a`b': 2, c: 1 });
  fc.assert(
    fc.property(fc.array(fc.nat(Buffer.byteLength(text)), { maxLength: 6 }), (cuts) => {
      expect(count(text, cuts)).toEqual(whole);
    }),
  );
});

test('any value that is written as the tools write it is one value', () => {
  const value = fc.oneof(
    fc
      .string({ unit: 'binary' })
      .map(
        (text) =>
          `'${text.replaceAll(/['\\\n\0]/g, (byte) => ({ '\n': '\\n', '\0': '\\0' })[byte] ?? `\\${byte}`)}'`,
      ),
    fc.integer().map(String),
    fc.constantFrom('NULL', '0xFF', "_binary ''"),
  );
  const row = fc
    .array(value, { minLength: 1, maxLength: 4 })
    .map((values) => `(${values.join(',')})`);
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), (rows) => {
      expect(count(`INSERT INTO \`t\` VALUES ${rows.join(',')};\n`)).toEqual({ t: rows.length });
    }),
  );
});
