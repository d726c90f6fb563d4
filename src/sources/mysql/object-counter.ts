/** Counts triggers, routines, events and views in the sections that make them. */
export interface ObjectCounter {
  push(text: Uint8Array): void;
  /** By kind. */
  counts(): Readonly<Record<string, number>>;
}

/** In double quotes where whoever made it had `ANSI_QUOTES`. */
const NAME = '(?:`(?:[^`]|``)*`|"(?:[^"]|"")*")';
const DEFINER = `(?:DEFINER=${NAME}(?:@${NAME})? )?`;

/** The first line of what is made, behind the delimiter that keeps its body together. */
const BODIES: readonly (readonly [RegExp, string])[] = [
  [/^\/\*!50003 CREATE\*\/ /, 'triggers'],
  [/^\/\*!50106 CREATE\*\/ /, 'events'],
  [new RegExp(`^CREATE ${DEFINER}(?:AGGREGATE )?FUNCTION `), 'functions'],
  [new RegExp(`^CREATE ${DEFINER}PROCEDURE `), 'procedures'],
  [new RegExp(`^CREATE ${DEFINER}PACKAGE (?!BODY )`), 'packages'],
];
const SETTING = /^\/\*!50003 SET /;
const VIEW = /^\/\*!50001 VIEW /;

export function objectCounter(): ObjectCounter {
  const counts: Record<string, number> = {};
  const decoder = new TextDecoder();
  let rest = '';
  /** Whether what comes next is a statement with a body: behind the delimiter, and the settings that may follow it. */
  let isBody = false;

  function count(kind: string): void {
    counts[kind] = (counts[kind] ?? 0) + 1;
  }

  function read(line: string): void {
    if (line === 'DELIMITER ;;' || (isBody && SETTING.test(line))) {
      isBody = true;
      return;
    }
    if (isBody) {
      const body = BODIES.find(([pattern]) => pattern.test(line));
      if (body !== undefined) {
        count(body[1]);
      }
    } else if (VIEW.test(line)) {
      count('views');
    }
    isBody = false;
  }

  return {
    push(text) {
      const lines = (rest + decoder.decode(text, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        read(line);
      }
    },
    counts: () => counts,
  };
}
