import { PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldLines, tableLines } from '../../../src/cli/table.ts';
import { escapeControls, renderLine } from '../../../src/cli/text.ts';
import { displayWidth, truncate } from '../../../src/cli/width.ts';
import { terminal } from './support.ts';

const plain = new PassThrough();

describe('escapeControls', () => {
  it.each([
    ['a\nb', String.raw`a\nb`],
    ['\r\t', String.raw`\r\t`],
    ['\u001B[31mred', String.raw`\x1b[31mred`],
    ['\u0007', String.raw`\x07`],
    ['\u009B1m', String.raw`\x9b1m`],
    ['\u202Egnp', String.raw`\u{202e}gnp`],
    ['\u2028', String.raw`\u{2028}`],
    ['\uD800', String.raw`\u{d800}`],
    ['größe 日本 👩‍👩‍👧', 'größe 日本 👩‍👩‍👧'],
  ])('writes out what is no text: %j', (text, escaped) => {
    expect(escapeControls(text)).toBe(escaped);
  });

  it('leaves nothing that steers a terminal, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // oxlint-disable-next-line no-control-regex
        expect(escapeControls(text)).not.toMatch(/[\u0000-\u001F\u007F-\u009F\u2028-\u202E]/);
      }),
    );
  });
});

describe('renderLine', () => {
  it('colours on a terminal only, and escapes the text of a coloured piece too', () => {
    const line = ['state: ', { text: 'bad\u001B[2J', format: 'red' }] as const;
    expect(renderLine(line, plain)).toBe(String.raw`state: bad\x1b[2J`);
    expect(renderLine(line, terminal())).toBe(
      `state: \u001B[31mbad${String.raw`\x1b[2J`}\u001B[39m`,
    );
  });
});

describe('tableLines', () => {
  it('aligns by what cells take on a terminal', () => {
    const lines = tableLines(
      [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }, { title: 'NOTE' }],
      [
        ['日本語', '1 B', 'x'],
        ['a\nb', '12.3 MB', { text: 'y', format: 'red' }],
        ['e\u0301', '-', ''],
      ],
    ).map((line) => renderLine(line, plain));
    expect(lines).toEqual([
      'NAME       SIZE  NOTE',
      '日本語      1 B  x',
      String.raw`a\nb    12.3 MB  y`,
      `e\u0301${' '.repeat(13)}-  `,
    ]);
  });

  it('gives every cell of a column the same beginning, whatever the names', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }), (names) => {
        const lines = tableLines(
          [{ title: 'N' }, { title: 'X' }],
          names.map((name) => [name, '|']),
        );
        const widths = lines.slice(1).map((line) => displayWidth(line));
        expect(new Set(widths).size).toBe(1);
      }),
    );
  });
});

describe('fieldLines', () => {
  it('puts the values one beneath the other', () => {
    const lines = fieldLines([
      ['id', 'x'],
      ['source', ['a', 'b']],
    ]).map((line) => renderLine(line, plain));
    expect(lines).toEqual(['id:     x', 'source: ab']);
  });
});

describe('truncate', () => {
  it.each([
    ['short', 10, 'short'],
    ['exactly', 7, 'exactly'],
    ['too long', 6, 'too l…'],
    ['日本語日本語', 6, '日本…'],
    ['a\u001Bb', 4, String.raw`a\x…`],
    ['x', 0, ''],
  ])('cuts %j to %i columns', (text, columns, cut) => {
    expect(truncate(text, columns)).toBe(cut);
  });
});
