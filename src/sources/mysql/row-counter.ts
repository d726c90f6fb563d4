import { newStatement, readStatement, type Statement } from './insert-statement.ts';

/** Counts the rows of each table in the INSERT statements of a dump. */
export interface RowCounter {
  push(text: Uint8Array): void;
  /** By table, for those that have rows. */
  readonly rows: ReadonlyMap<string, number>;
}

const NEWLINE = 0x0a;

/** How the tools begin every statement that has rows, at the beginning of a line. */
const INSERT = Buffer.from('INSERT INTO ');

/** Reads the text statement by statement: `INSERT INTO \`t\` (\`a\`, \`b\`) VALUES (1,'x'),(2,'it\'s');` is two rows of t. */
export function rowCounter(): RowCounter {
  const rows = new Map<string, number>();
  /** How much of the beginning of the line is that of an INSERT; null where it is none. */
  let matched: number | null = 0;
  let statement: Statement | null = null;

  function beginLine(text: Uint8Array, from: number, before: number): number {
    let at = from;
    let same = before;
    while (at < text.length && same < INSERT.length && text[at] === INSERT[same]) {
      at += 1;
      same += 1;
    }
    statement = same === INSERT.length ? newStatement() : null;
    matched = at === text.length && statement === null ? same : null;
    return at;
  }

  function skipLine(text: Uint8Array, from: number): number {
    const end = text.indexOf(NEWLINE, from);
    matched = end === -1 ? null : 0;
    return end === -1 ? text.length : end + 1;
  }

  function readInsert(text: Uint8Array, from: number, insert: Statement): number {
    const at = readStatement(insert, text, from);
    if (insert.isOver) {
      const table = Buffer.from(insert.table).toString('utf8');
      rows.set(table, (rows.get(table) ?? 0) + insert.rows);
      statement = null;
      matched = 0;
    }
    return at;
  }

  return {
    rows,
    push(text) {
      for (let at = 0; at < text.length;) {
        if (statement !== null) {
          at = readInsert(text, at, statement);
        } else if (matched === null) {
          at = skipLine(text, at);
        } else {
          at = beginLine(text, at, matched);
        }
      }
    },
  };
}
