/** An INSERT that is being read, from behind the words INSERT INTO: `\`t\` (\`a\`, \`b\`) VALUES (1,'x'),(2,'it\'s');`. */
export interface Statement {
  /** The bytes of the table's name. */
  readonly table: number[];
  rows: number;
  /** Whether its semicolon came. */
  isOver: boolean;
  inside: 'nothing' | 'table' | 'table, at a backtick' | 'column' | 'string' | 'escape';
  /** How many parentheses are open. */
  depth: number;
  /** Whether the word VALUES has come. */
  areValues: boolean;
}

const QUOTE = 0x27;
const OPEN = 0x28;
const CLOSE = 0x29;
const SEMICOLON = 0x3b;
const LETTER_V = 0x56;
const BACKSLASH = 0x5c;
const BACKTICK = 0x60;

export function newStatement(): Statement {
  return { table: [], rows: 0, isOver: false, inside: 'nothing', depth: 0, areValues: false };
}

/**
 * Reads on. Every parenthesis that opens outside of others, of strings and of names, behind the word VALUES, is a row.
 * @returns up to where; the caller asks again until the text or the statement is over
 */
export function readStatement(statement: Statement, text: Uint8Array, from: number): number {
  switch (statement.inside) {
    case 'nothing':
      return readPlain(statement, text, from);
    case 'string':
      return readString(statement, text, from);
    case 'escape':
      statement.inside = 'string';
      return from + 1;
    case 'table':
      return readTable(statement, text, from);
    case 'table, at a backtick':
      return endTable(statement, text, from);
    case 'column':
      return readColumn(statement, text, from);
  }
}

/** Nearly all bytes of a dump pass here or in the next one. */
function readPlain(statement: Statement, text: Uint8Array, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const byte = text[at];
    if (byte === QUOTE) {
      statement.inside = 'string';
      return at + 1;
    }
    if (byte === OPEN) {
      statement.rows += statement.depth === 0 && statement.areValues ? 1 : 0;
      statement.depth += 1;
    } else if (byte === CLOSE) {
      statement.depth -= 1;
    } else if (byte === LETTER_V) {
      statement.areValues ||= statement.depth === 0;
    } else if (byte === BACKTICK) {
      // The first name of all is the table's.
      statement.inside = statement.depth === 0 ? 'table' : 'column';
      return at + 1;
    } else if (byte === SEMICOLON) {
      statement.isOver = true;
      return at + 1;
    }
  }
  return text.length;
}

function readString(statement: Statement, text: Uint8Array, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const byte = text[at];
    if (byte === QUOTE) {
      statement.inside = 'nothing';
      return at + 1;
    }
    if (byte === BACKSLASH) {
      at += 1;
      if (at === text.length) {
        statement.inside = 'escape';
      }
    }
  }
  return text.length;
}

function readTable(statement: Statement, text: Uint8Array, from: number): number {
  const end = text.indexOf(BACKTICK, from);
  statement.table.push(...text.subarray(from, end === -1 ? text.length : end));
  if (end === -1) {
    return text.length;
  }
  statement.inside = 'table, at a backtick';
  return end + 1;
}

/** A backtick in a name is doubled. */
function endTable(statement: Statement, text: Uint8Array, at: number): number {
  if (text[at] === BACKTICK) {
    statement.table.push(BACKTICK);
    statement.inside = 'table';
    return at + 1;
  }
  statement.inside = 'nothing';
  return at;
}

/** One with a backtick in it reads as two, which is the same here. */
function readColumn(statement: Statement, text: Uint8Array, from: number): number {
  const end = text.indexOf(BACKTICK, from);
  if (end === -1) {
    return text.length;
  }
  statement.inside = 'nothing';
  return end + 1;
}
