import { posix } from 'node:path';
import { parseDurationMs } from '../core/duration.ts';
import type { MaxAge } from '../core/job.ts';
import { isSourceName } from '../core/layout.ts';
import { ENGINES, type Engine } from '../core/target.ts';
import { suggest } from '../core/suggest.ts';

/** How the text of an option is read. */
export interface Format<T> {
  /** What a right value looks like; completes the sentence "expected ...". Also shown in the documentation. */
  readonly expected: string;
  /** @throws FormatError where the text is no such value. */
  parse(text: string): T;
}

/** Says that a text is not a value of its format; the message, which may be empty, says which part of it is wrong. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/** The longest time that a timer of Node can wait is a little more. */
const LONGEST_TIMEOUT_MS = 24 * 86_400_000;

/** The values of a fixed list of words. */
export function oneOf<const T extends string>(words: readonly T[]): Format<T> {
  return {
    expected: listWords(words),
    parse(text) {
      const word = words.find((candidate) => candidate === text.trim());
      if (word === undefined) {
        throw new FormatError();
      }
      return word;
    },
  };
}

function listWords(words: readonly string[]): string {
  return words.length < 2
    ? words.join('')
    : `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}

export const yesOrNo: Format<boolean> = {
  expected: 'true or false',
  parse(text) {
    return oneOf(['true', 'false']).parse(text) === 'true';
  },
};

/** Whole numbers of a range, both ends included. */
export function wholeNumber(least: number, most: number): Format<number> {
  return {
    expected: `a whole number from ${least} to ${most}`,
    parse(text) {
      const number = Number(text.trim());
      if (!/^\d+$/.test(text.trim()) || number < least || number > most) {
        throw new FormatError();
      }
      return number;
    },
  };
}

/** A TCP port; null for `off`. */
export const portOrOff: Format<number | null> = {
  expected: 'a port from 1 to 65535, or off',
  parse(text) {
    return text.trim() === 'off' ? null : wholeNumber(1, 65_535).parse(text);
  },
};

/** Milliseconds; 0 is one. */
export const duration: Format<number> = {
  expected: 'a duration such as 90s, 1h30m, 26h or 7d',
  parse(text) {
    const ms = parseDurationMs(text);
    if (ms === null) {
      throw new FormatError();
    }
    return ms;
  },
};

/** Milliseconds that a run may take. */
export const timeout: Format<number> = {
  expected: 'a duration from 1s to 24d, such as 90m or 6h',
  parse(text) {
    const ms = duration.parse(text);
    if (ms < 1000 || ms > LONGEST_TIMEOUT_MS) {
      throw new FormatError();
    }
    return ms;
  },
};

export const maxAge: Format<MaxAge> = {
  expected: 'a multiple of the interval such as 1.5x, or a duration such as 26h',
  parse(text) {
    const times = /^(\d+(?:\.\d+)?)x$/.exec(text.trim());
    const intervals = Number(times?.[1] ?? 0);
    if (times !== null && intervals >= 1) {
      return { intervals };
    }
    const ms = parseDurationMs(text);
    if (ms === null || ms === 0) {
      throw new FormatError(
        times === null ? '' : 'less than one interval makes every source overdue',
      );
    }
    return { ms };
  },
};

/** An algorithm with its level; the level of `none` is 0. */
export const compression: Format<{
  readonly algorithm: 'zstd' | 'gzip' | 'none';
  readonly level: number;
}> = {
  expected: 'zstd:1 to zstd:19, gzip:1 to gzip:9, or none',
  parse(text) {
    if (text.trim() === 'none') {
      return { algorithm: 'none', level: 0 };
    }
    const [, algorithm, digits] = /^(zstd|gzip):(\d{1,2})$/.exec(text.trim()) ?? [];
    const level = Number(digits ?? 0);
    if (algorithm === undefined || level < 1 || level > (algorithm === 'zstd' ? 19 : 9)) {
      throw new FormatError();
    }
    return { algorithm: algorithm as 'zstd' | 'gzip', level };
  },
};

export const absolutePath: Format<string> = {
  expected: 'an absolute path, which begins with "/"',
  parse(text) {
    if (!text.startsWith('/') || text.includes('\0')) {
      throw new FormatError();
    }
    return text;
  },
};

/** Names of sources and namespaces: safe as a folder, a label and a part of an object's key. */
export const plainName: Format<string> = {
  expected: 'up to 63 characters of a-z, 0-9, ".", "_" and "-", the first a letter or digit',
  parse(text) {
    if (!isSourceName(text)) {
      throw new FormatError();
    }
    return text;
  },
};

export const anyText: Format<string> = {
  expected: 'a text that is not empty',
  parse(text) {
    if (text.trim() === '') {
      throw new FormatError();
    }
    return text;
  },
};

/** Names separated by commas; blanks around them do not count. */
export const nameList: Format<readonly string[]> = {
  expected: 'names separated by commas',
  parse(text) {
    const names = text.split(',').map((name) => name.trim());
    if (names.includes('')) {
      throw new FormatError(text.trim() === '' ? '' : 'there is an empty name in it');
    }
    return names;
  },
};

/** A volume by its name, or a directory of the host by its path; a path without what makes no difference. */
export const volumeOrPath: Format<string> = {
  expected: 'the name of a volume, or a path of the host, which begins with "/"',
  parse(text) {
    if (!text.startsWith('/')) {
      if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text)) {
        throw new FormatError();
      }
      return text;
    }
    const path = posix.normalize(absolutePath.parse(text)).replace(/(.)\/$/, '$1');
    if (path === '/') {
      throw new FormatError('the whole host is too much');
    }
    return path;
  },
};

/** What a container can be; a volume is none, and is named in another way. */
const OF_CONTAINERS = ENGINES.filter((candidate) => candidate !== 'volume');

export const engine: Format<Engine> = {
  expected: OF_CONTAINERS.join(', '),
  parse(text) {
    const word = text.trim();
    const known = OF_CONTAINERS.find((candidate) => candidate === word);
    if (known !== undefined) {
      return known;
    }
    const meant = suggest(word, OF_CONTAINERS);
    throw new FormatError(
      word === 'volume'
        ? 'a container is no volume, backupd.volumes names those that it uses'
        : meant === null
          ? ''
          : `perhaps ${meant} was meant`,
    );
  },
};
