const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', '0': '\0', '\\': '\\' };

/**
 * The rows that a client prints with `--batch`: columns separated by tabs, in which tab, newline, NUL and backslash are
 * escaped. NULL prints as the word: a query that can give it says what it wants instead.
 */
export function parseRows(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('\t').map((column) => unescapeColumn(column)));
}

function unescapeColumn(column: string): string {
  return column.replaceAll(/\\([nt0\\])/g, (_escaped, letter: string) => ESCAPES[letter] ?? letter);
}
