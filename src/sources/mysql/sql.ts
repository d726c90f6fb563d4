/** A name as both flavours quote it. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A table with its database. */
export function quotePath(database: string, table: string): string {
  return `${quoteName(database)}.${quoteName(table)}`;
}

/** A string as both flavours quote it, whatever the sql_mode is. */
export function quoteText(text: string): string {
  return `x'${Buffer.from(text, 'utf8').toString('hex')}'`;
}

/** A quoted name as it stands in text of one character a byte. */
export function quoteBytes(name: string): string {
  return Buffer.from(quoteName(name), 'utf8').toString('latin1');
}

/** The name that is written so in text of one character a byte, quoted or not. */
export function unquoteBytes(written = ''): string {
  const [quote] = written;
  const name =
    quote === '`' || quote === '"'
      ? written.slice(1, -1).replaceAll(quote + quote, quote)
      : written;
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** A statement in which a schema has another name wherever it qualifies one; strings stay as they are. In text of one character a byte. */
export function schemaRenamed(
  sql: string,
  { from, to }: { readonly from: string; readonly to: string },
): string {
  const quoted = quoteBytes(from);
  return sql.replaceAll(
    /'(?:[^'\\]|\\[^]|'')*'|"(?:[^"\\]|\\[^]|"")*"|(?<![.`])`(?:[^`]|``)*`(?=\.)/g,
    (token) => (token === quoted ? quoteBytes(to) : token),
  );
}
