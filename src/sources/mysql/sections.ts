import { BackupdError } from '../../core/errors.ts';
import { SECTIONS, type Section } from './dump-script.ts';

/** Follows a dump through its sections, which have an order, and each of which the tool has to end. */
export interface SectionFollower {
  /** @throws BackupdError `archive-corrupt` for a section that is not where it belongs, or follows one that is cut */
  onComment(line: string): void;
  /** @throws BackupdError `archive-corrupt` before the first section and after the last one */
  onStatement(): Section;
  /** The one we are in; null before the first. */
  current(): Section | 'complete' | null;
  /** @throws BackupdError `archive-corrupt` where the last line of all has not come */
  end(): void;
}

/** How the tools end every dump that is whole. */
const TRAILER = '-- Dump completed';
const LINE = /^-- backupd: (?<name>tables|objects|views|complete) (?<token>[0-9a-f]{32})$/;
const ORDER: readonly string[] = [...SECTIONS, 'complete'];

export function sectionFollower(): SectionFollower {
  let current: Section | 'complete' | null = null;
  let token: string | null = null;
  let isTrailed = false;

  function begin(name: Section | 'complete'): void {
    if (current !== null && !isTrailed) {
      throw corruptDump(
        `its section "${current}" does not end with the last line of the tool that dumped it`,
      );
    }
    const isFirst = current === null && name === 'tables';
    if (!isFirst && (current === null || ORDER.indexOf(name) <= ORDER.indexOf(current))) {
      throw corruptDump(`its section "${name}" is not where it belongs`);
    }
    current = name;
  }

  return {
    onComment(line) {
      const found = LINE.exec(line)?.groups as
        | { readonly name: Section | 'complete'; readonly token: string }
        | undefined;
      // What has another token only looks like one: it is the text of something in the database.
      if (found !== undefined && (token === null || token === found.token)) {
        token = found.token;
        begin(found.name);
      }
      isTrailed = line.startsWith(TRAILER);
    },
    onStatement() {
      isTrailed = false;
      if (current === null || current === 'complete') {
        throw corruptDump(
          current === null ? 'does not begin as a dump of backupd does' : 'goes on after its end',
        );
      }
      return current;
    },
    current: () => current,
    end() {
      if (current !== 'complete') {
        throw corruptDump('does not end with its last line');
      }
    },
  };
}

export function corruptDump(fact: string): BackupdError {
  return new BackupdError('archive-corrupt', fact);
}
