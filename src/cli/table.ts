import { spansOf, type Line, type Span } from './text.ts';
import { displayWidth } from './width.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

const GAP = '  ';

/** A table with its titles, a line each row; aligned by what the cells take on a terminal, whatever they hold. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Line[])[],
): readonly Line[] {
  const titles = columns.map(({ title }): Line => ({ text: title, format: 'dim' }));
  const all = [titles, ...rows];
  const taken = all.map((row) => columns.map((_, index) => displayWidth(row[index] ?? '')));
  const widths = columns.map((_, index) => Math.max(...taken.map((row) => row[index] ?? 0)));
  return all.map((row, number) => {
    const line: Span[] = [];
    for (const [index, column] of columns.entries()) {
      const cell = row[index] ?? '';
      const space = ' '.repeat((widths[index] ?? 0) - (taken[number]?.[index] ?? 0));
      const isLast = index === columns.length - 1;
      if (column.align === 'right') {
        append(line, space, ...spansOf(cell), isLast ? '' : GAP);
      } else {
        append(line, ...spansOf(cell), isLast ? '' : space + GAP);
      }
    }
    return line;
  });
}

/** Text that has no format in one piece: ten thousand rows of many small ones take long to render. */
function append(line: Span[], ...spans: readonly Span[]): void {
  for (const span of spans) {
    const last = line.at(-1);
    if (typeof span === 'string' && typeof last === 'string') {
      line[line.length - 1] = last + span;
    } else {
      line.push(span);
    }
  }
}

/** `name: value` lines, the values one beneath the other. */
export function fieldLines(fields: readonly (readonly [string, Line])[]): readonly Line[] {
  const width = Math.max(...fields.map(([name]) => displayWidth(name)));
  return fields.map(([name, value]): Line => [
    { text: `${name}:`, format: 'dim' },
    ' '.repeat(width - displayWidth(name) + 1),
    ...spansOf(value),
  ]);
}
