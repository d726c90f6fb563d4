import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dumpReader } from '../../../../src/sources/mysql/dump-reader.ts';
import type { PartFacts } from '../../../../src/core/source.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures/mysql-dump');
const TOKEN = 'ab'.repeat(16);

function read(text: string | Buffer, cutAt: readonly number[] = []): PartFacts {
  const bytes = Buffer.from(text);
  const reader = dumpReader();
  let from = 0;
  for (const to of [...cutAt.toSorted((one, other) => one - other), bytes.length]) {
    reader.push(bytes.subarray(from, to));
    from = to;
  }
  return reader.end();
}

/** A section as the tools write one. */
function section(name: string, statements = '', token = TOKEN): string {
  return `-- backupd: ${name} ${token}\n-- MySQL dump\n\n${statements}\n-- Dump completed on 2026-11-28  0:14:59\n`;
}

const END = `-- backupd: complete ${TOKEN}\n`;
const TABLE = 'CREATE TABLE `t` (\n  `a` int\n);\n';

describe.each(['mariadb-10.11', 'mariadb-11.8', 'mysql-9.7'])('a dump of %s', (name) => {
  const dump = readFileSync(join(FIXTURES, `${name}.sql`));

  test('is whole, and all of it is counted', () => {
    expect(read(dump)).toEqual({
      tables: {
        children: { rows: 2, exact: true },
        nothing: { rows: 0, exact: true },
        parents: { rows: 3, exact: true },
        parted: { rows: 4, exact: true },
        plain: { rows: 1, exact: true },
        'we`ird "n': { rows: 1, exact: true },
      },
      sequences: {},
      objects: { tables: 6, triggers: 1, events: 1, functions: 1, procedures: 1, views: 2 },
    });
  });

  test('reads the same wherever it is cut into pieces', () => {
    const whole = read(dump);
    fc.assert(
      fc.property(fc.array(fc.nat(dump.length), { maxLength: 8 }), (cuts) => {
        expect(read(dump, cuts)).toEqual(whole);
      }),
    );
  });

  test('is not whole where it ends at any earlier byte', () => {
    for (let length = 0; length < dump.length; length += 1) {
      expect(() => read(dump.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code: 'archive-corrupt' }),
      );
    }
  });

  test.each([
    ['doubled', Buffer.concat([dump, dump])],
    ['longer by a statement', Buffer.concat([dump, Buffer.from('DROP TABLE t;\n')])],
    ['without its beginning', dump.subarray(1000)],
  ])('is refused where it is %s', (_how, bytes) => {
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code: 'archive-corrupt' }));
  });
});

test('each section has to end with the last line of the tool', () => {
  const cut = section('tables', TABLE).replace(/-- Dump completed.*\n/, '');
  expect(() => read(`${cut}${section('objects')}${END}`)).toThrow(/section "tables" does not end/);
  const last = section('objects').replace(/-- Dump completed.*\n/, '');
  expect(() => read(`${section('tables')}${last}${END}`)).toThrow(/section "objects" does not end/);
});

test('sections have an order, and none comes twice', () => {
  for (const order of [
    ['objects', 'tables'],
    ['tables', 'tables'],
    ['tables', 'views', 'objects'],
    ['views'],
  ]) {
    const text = order.map((name) => section(name)).join('') + END;
    expect(() => read(text), order.join()).toThrow(/is not where it belongs/);
  }
  expect(() => read(`${section('tables')}${END}`)).not.toThrow();
});

test('what only looks like one of our lines, in the text of a routine, is none', () => {
  const body = [
    'DELIMITER ;;',
    'CREATE DEFINER=`root`@`localhost` PROCEDURE `p`()',
    'begin',
    '-- Dump completed',
    `-- backupd: complete ${'cd'.repeat(16)}`,
    'end ;;',
    'DELIMITER ;',
    '',
  ].join('\n');
  const text = `${section('tables')}${section('objects', body)}${END}`;
  expect(read(text).objects).toEqual({ tables: 0, procedures: 1 });
  // Where the dump ends in its midst, that is no end either.
  expect(() => read(text.slice(0, text.indexOf('end ;;')))).toThrow(/last line/);
});

test('names that JavaScript knows are names', () => {
  const statements = `-- Table structure for table \`__proto__\`\n--\n\nCREATE TABLE \`__proto__\` (\n  \`a\` int\n);\n-- Dumping data for table\n--\nINSERT INTO \`__proto__\` VALUES (1);\n`;
  const { tables } = read(`${section('tables', statements)}${END}`);
  expect(Object.entries(tables ?? {})).toEqual([['__proto__', { rows: 1, exact: true }]]);
});

test('sequences are told with the value that they are set to', () => {
  const statements =
    '-- Sequence structure for `s``q`\n--\n\nCREATE SEQUENCE `s``q` start with 1;\nDO SETVAL(`s``q`, 1001, 0);\n';
  expect(read(`${section('tables', statements)}${END}`).sequences).toEqual({ 's`q': '1001' });
});
