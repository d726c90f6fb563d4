/** An identifier as PostgreSQL reads it, always quoted. */
export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string literal; the E form only where there is a backslash, so it holds whatever standard_conforming_strings says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? `E${quoted}` : quoted;
}

/** `dbname='...'` for libpq, which would read a bare name with `=` in it as a connection string. */
export function connectionName(database: string): string {
  return `dbname='${database.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** Most bytes PostgreSQL keeps of a name; it cuts longer ones without a word. */
export const LONGEST_IDENT_BYTES = 63;

/** `name` followed by `suffix`, the name cut on a character so that both fit an identifier. */
export function fitIdent(name: string, suffix: string): string {
  const room = LONGEST_IDENT_BYTES - Buffer.byteLength(suffix);
  let kept = '';
  for (const char of name) {
    if (Buffer.byteLength(kept) + Buffer.byteLength(char) > room) {
      break;
    }
    kept += char;
  }
  return kept + suffix;
}

/** One token of a script: where it begins and ends, and whether it is plain text or quoted. */
interface Token {
  readonly start: number;
  readonly end: number;
  readonly kind: 'word' | 'quoted-ident' | 'literal' | 'comment' | 'semicolon' | 'other';
}

/** Next token at `from`, or null at the end. Knows '', E'', "", $tag$, comments; source: PostgreSQL manual, chapter 4.1. */
function nextToken(sql: string, from: number): Token | null {
  const rules: readonly (readonly [Token['kind'], RegExp])[] = [
    ['comment', /--[^\n]*|\/\*[\s\S]*?\*\//y],
    ['literal', /[eE]'(?:[^'\\]|\\[\s\S]|'')*'/y],
    ['literal', /(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'/y],
    ['literal', /\$([A-Za-z_\u0080-\uFFFF][\w\u0080-\uFFFF]*)?\$[\s\S]*?\$\1\$/y],
    ['quoted-ident', /(?:[uU]&)?"(?:[^"]|"")*"/y],
    ['word', /[A-Za-z_\u0080-\uFFFF][\w$\u0080-\uFFFF]*/y],
    ['semicolon', /;/y],
    ['other', /[\s\S]/y],
  ];
  if (from >= sql.length) {
    return null;
  }
  for (const [kind, pattern] of rules) {
    pattern.lastIndex = from;
    const match = pattern.exec(sql);
    if (match !== null) {
      return { start: from, end: from + match[0].length, kind };
    }
  }
  return null;
}

function* tokens(sql: string): Generator<Token> {
  for (let token = nextToken(sql, 0); token !== null; token = nextToken(sql, token.end)) {
    yield token;
  }
}

/**
 * The statements of a script, without comments and psql's backslash lines between them; quotes of every kind are respected.
 */
export function splitStatements(sql: string): readonly string[] {
  const statements: string[] = [];
  let current = '';
  let skippingLine = false;
  for (const token of tokens(sql)) {
    const text = sql.slice(token.start, token.end);
    if (skippingLine) {
      skippingLine = text !== '\n';
    } else if (text === '\\' && current.trim() === '') {
      skippingLine = true;
    } else if (token.kind === 'semicolon') {
      statements.push(`${current.trim()};`);
      current = '';
    } else if (token.kind !== 'comment') {
      current += text;
    }
  }
  if (current.trim() !== '') {
    statements.push(current.trim());
  }
  return statements;
}

/** A statement about a database, with the identifier after its first `DATABASE` replaced. */
export function renameDatabaseIn(statement: string, name: string): string {
  let seenKeyword = false;
  for (const token of tokens(statement)) {
    const text = statement.slice(token.start, token.end);
    if (seenKeyword && (token.kind === 'word' || token.kind === 'quoted-ident')) {
      return statement.slice(0, token.start) + quoteIdent(name) + statement.slice(token.end);
    }
    seenKeyword ||= token.kind === 'word' && text.toUpperCase() === 'DATABASE';
  }
  return statement;
}

/** The words of a statement up to `count`, upper case where unquoted; for telling what a statement does. */
export function leadingWords(statement: string, count: number): readonly string[] {
  const words: string[] = [];
  for (const token of tokens(statement)) {
    const text = statement.slice(token.start, token.end);
    if (token.kind === 'word') {
      words.push(text.toUpperCase());
    } else if (token.kind === 'quoted-ident') {
      words.push(text);
    }
    if (words.length === count) {
      break;
    }
  }
  return words;
}

/** The plain name behind an identifier as written in SQL: `"Na""me"` or `name`. */
export function unquoteIdent(written: string): string {
  return written.startsWith('"')
    ? written.slice(1, -1).replaceAll('""', '"')
    : written.toLowerCase();
}

/** Removes a trailing clause `GRANTED BY role` from a GRANT. */
export function withoutGrantedBy(statement: string): string {
  const list = [...tokens(statement)].filter(
    (token) => token.kind !== 'comment' && /\S/.test(statement.slice(token.start, token.end)),
  );
  const at = list.findIndex(
    (token, index) =>
      token.kind === 'word' &&
      statement.slice(token.start, token.end).toUpperCase() === 'GRANTED' &&
      statement.slice(list[index + 1]?.start, list[index + 1]?.end).toUpperCase() === 'BY',
  );
  const granted = list[at];
  return granted === undefined ? statement : `${statement.slice(0, granted.start).trimEnd()};`;
}
