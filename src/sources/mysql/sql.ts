/** A name as both flavours quote it. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A string as both flavours quote it, whatever the sql_mode is. */
export function quoteText(text: string): string {
  return `x'${Buffer.from(text, 'utf8').toString('hex')}'`;
}
