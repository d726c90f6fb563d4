import { escapeControls } from '../text.ts';

/** A line of text, or several; each block has an empty line around it. */
export type Block = string;

export function block(language: string, lines: readonly string[]): Block {
  return ['```' + language, ...lines, '```'].join('\n');
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): Block {
  return [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

/** A name that somebody else gave, as it is and never as markup. */
export function code(name: string): string {
  return `\`${escapeControls(name).replaceAll('`', "'")}\``;
}

/** A word for a shell, as it is. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** Blocks one below the other. */
export function joinBlocks(blocks: readonly Block[]): string {
  return `${blocks.join('\n\n')}\n`;
}
