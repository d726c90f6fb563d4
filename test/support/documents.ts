import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

/** A Markdown file, by its path from the root. */
export interface Document {
  readonly path: string;
  readonly text: string;
}

/** What users and contributors read. */
export async function readDocuments(): Promise<readonly Document[]> {
  const inDocs = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md'));
  const paths = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...inDocs.map((n) => `docs/${n}`)];
  return Promise.all(
    paths.map(async (path) => ({ path, text: await readFile(join(ROOT, path), 'utf8') })),
  );
}

/** The fenced blocks of a language. */
export function blocks(text: string, language: string): readonly string[] {
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] ?? '');
}

/** What stands between backticks outside of blocks. */
export function inlineCode(text: string): readonly string[] {
  const prose = text.replaceAll(/^```.*?^```$/gms, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map((match) =>
    (match[1] ?? '').replaceAll('\\|', '|'),
  );
}

/** The text under a heading, up to the next one. */
export function section(text: string, heading: string): string {
  const [, rest = ''] = text.split(`\n${heading}\n`);
  return rest.split(/^#/m)[0] ?? '';
}

/** The cells of the rows of every table in a text, the first of which is a head. */
export function rows(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\| *-/.test(line))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** In a container of that name or image; some of Docker's own options have a value. */
const IN_DOCKER =
  /^docker (?:compose )?(?:exec|run) (?:(?:-e|-v|--name) \S+ |-\S+ )*backupd(?: (.*))?$/;

/** The arguments for the program in one command of a shell; null for a command of something else. */
export function programArguments(command: string): readonly string[] | null {
  const inDocker = IN_DOCKER.exec(command);
  const own =
    inDocker === null ? /^(?:backupd|backup|restore)\b.*/.exec(command)?.[0] : inDocker[1];
  // The shell of the container is another program.
  return own === undefined || /^(?:sh|rm) /.test(own) ? null : own.split(/\s+/);
}

/** Every command in the blocks that a shell is to run, without comments. */
export function shellCommands(text: string): readonly string[] {
  return blocks(text, 'sh')
    .flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'))
    .map((line) => line.replace(/(?:^|\s)#.*$/, ''))
    .flatMap((line) => line.split(/\||&&|;/))
    .map((command) => command.trim().replaceAll(/\s+/g, ' '));
}
