import type { ObjectKind, StoredObject } from './objects.ts';
import { corruptDump } from './sections.ts';
import { unquoteBytes } from './sql.ts';

const NAME = String.raw`(?:\x60(?:[^\x60]|\x60\x60)+\x60|"(?:[^"]|"")+"|[0-9A-Za-z$_\x80-\xff]+)`;
/** Not `\s`: one character a byte, that would take a byte of some letters. */
const BLANK = String.raw`[ \t\r\n\f\v]`;
const SPACE = String.raw`(?:${BLANK}|/\*[^]*?\*/|(?:#|--${BLANK})[^\n]*\n)`;
const DEFINER = String.raw`DEFINER=(?:${NAME}@${NAME}|${NAME})`;

/** MySQL and MariaDB keep what users wrote behind the definer: any case, comments, a schema before the names. */
const TRIGGER = new RegExp(
  String.raw`^TRIGGER${SPACE}+(?:IF${SPACE}+NOT${SPACE}+EXISTS${SPACE}+)?(?:${NAME}${SPACE}*\.${SPACE}*)?(?<name>${NAME})` +
    String.raw`${SPACE}+(?<timing>BEFORE|AFTER)${SPACE}+(?<event>INSERT|UPDATE|DELETE)${SPACE}+ON${SPACE}+` +
    String.raw`(?:${NAME}${SPACE}*\.${SPACE}*)?(?<table>${NAME})${SPACE}+FOR${SPACE}+EACH${SPACE}+ROW` +
    // Triggers are made in their order anyway.
    String.raw`(?:${SPACE}+(?:FOLLOWS|PRECEDES)${SPACE}+${NAME})?(?<body>[^]*)$`,
  'i',
);
/** How the tools wrap what older servers do not know. */
const WRAPPED_TRIGGER = new RegExp(
  String.raw`^/\*!50003 CREATE\*/ (?:/\*!50017 (?<definer>${DEFINER})\*/ )?/\*!50003 (?<trigger>[^]*?)${BLANK}*\*/$`,
);
const WRAPPED_EVENT = new RegExp(
  String.raw`^/\*!50106 CREATE\*/ (?:/\*!50117 (?<definer>${DEFINER})\*/ )?/\*!50106 EVENT (?<name>${NAME})(?<tail>[^]*?)${BLANK}*\*/$`,
);
const ROUTINE = new RegExp(
  String.raw`^(?<head>CREATE (?:${DEFINER} )?(?:AGGREGATE )?(?<kind>FUNCTION|PROCEDURE|PACKAGE BODY|PACKAGE) )(?<name>${NAME})(?<tail>[^]*)$`,
);
const WRAPPED_VIEW = new RegExp(
  String.raw`^/\*!50001 CREATE (?<algorithm>ALGORITHM=\w+) \*/${BLANK}*/\*!50013 (?<definer>${DEFINER} SQL SECURITY \w+) \*/${BLANK}*/\*!50001 VIEW (?<name>${NAME})(?<tail>[^]*?)\*/` +
    // The option stands in a comment of its own, at the end.
    String.raw`(?:${BLANK}*/\*!50002 (?<check>WITH (?:CASCADED|LOCAL) CHECK OPTION) \*/)?$`,
);
const SETTING =
  /^(?:\/\*!50\d{3} )?SET (?<name>sql_mode|time_zone|character_set_client|character_set_results|collation_connection) *= (?<value>[^]*?) *(?:\*\/)?$/;
const DELIMITER = /^DELIMITER (?<delimiter>\S+) *$/;

/** Reads the objects and views sections of a dump. @throws BackupdError `archive-corrupt` for what no tool writes there */
export function readObjects(script: string): readonly StoredObject[] {
  const objects: StoredObject[] = [];
  let settings: Settings = {};
  for (const statement of statementsOf(script)) {
    settings = withSetting(settings, statement);
    const read = READERS.find(([beginning]) => statement.startsWith(beginning))?.[1];
    if (read !== undefined) {
      objects.push(read(statement, settings));
    }
  }
  return objects;
}

type Settings = StoredObject['settings'];

/** By how the tools begin the statements. */
const READERS: readonly (readonly [
  string,
  (statement: string, settings: Settings) => StoredObject,
])[] = [
  ['/*!50003 CREATE*/', readTrigger],
  ['/*!50106 CREATE*/', (...of) => readWrapped('event', WRAPPED_EVENT, ...of)],
  ['/*!50001 CREATE ALGORITHM=', (...of) => readWrapped('view', WRAPPED_VIEW, ...of)],
  ['CREATE ', readRoutine],
];

function withSetting(settings: Settings, statement: string): Settings {
  if (statement.startsWith('ALTER DATABASE ')) {
    return withDatabase(settings, statement);
  }
  const { name, value = '' } = SETTING.exec(statement)?.groups ?? {};
  if (name === undefined) {
    return settings;
  }
  // What begins with @ sets back what was before.
  const { [name]: _before, ...others } = settings;
  return value.startsWith('@') ? others : { ...others, [name]: value };
}

/**
 * An object keeps the character set that its database had when it was made: the tool changes it before, where it is another
 * one now, and changes it back behind.
 */
function withDatabase(settings: Settings, statement: string): Settings {
  const { database, ...others } = settings;
  const characters = /CHARACTER SET \w+ COLLATE \w+/.exec(statement)?.[0];
  return database === undefined && characters !== undefined
    ? { ...others, database: characters }
    : others;
}

/** What a delimiter may stand in without being one: strings, names and comments, one of which may go on in the next line. */
const TOKEN =
  /'(?:[^'\\]|\\[^])*'|"(?:[^"\\]|\\[^])*"|`[^`]*`|\/\*[^]*?\*\/|(?:#|--[ \t])[^\n]*(?=\n|$)/y;
const OPENING = new Set([`'`, '"', '`', '#', '/', '-']);

/** Cut as the stock client cuts them, by the delimiter, which the tools only write at the end of a line. */
function* statementsOf(script: string): Generator<string> {
  let delimiter = ';';
  let at = 0;
  while (at < script.length) {
    const line = script.slice(at, lineEnd(script, at));
    const changed = DELIMITER.exec(line)?.groups?.['delimiter'];
    if (changed !== undefined || line === '' || line.startsWith('--')) {
      delimiter = changed ?? delimiter;
      at += line.length + 1;
    } else {
      const end = statementEnd(script, at, delimiter);
      yield script.slice(at, end).replaceAll(/^[ \n]+|[ \n]+$/g, '');
      at = lineEnd(script, end) + 1;
    }
  }
}

function lineEnd(script: string, from: number): number {
  const end = script.indexOf('\n', from);
  return end === -1 ? script.length : end;
}

/** Where the delimiter is that ends a statement. */
function statementEnd(script: string, from: number, delimiter: string): number {
  let at = from;
  while (at < script.length) {
    if (script.startsWith(`${delimiter}\n`, at)) {
      return at;
    }
    TOKEN.lastIndex = at;
    // A version comment is read by the server: what is in it counts, its end is only two characters.
    const isRead = script.startsWith('/*!', at) || script.startsWith('/*M!', at);
    const token = !isRead && OPENING.has(script[at] ?? '') ? TOKEN.exec(script) : null;
    at += token === null ? 1 : Math.max(1, token[0].length);
  }
  return script.length;
}

function readTrigger(statement: string, settings: Settings): StoredObject {
  const wrapped = WRAPPED_TRIGGER.exec(statement)?.groups;
  const trigger = TRIGGER.exec(wrapped?.['trigger'] ?? '')?.groups;
  if (trigger === undefined) {
    throw corruptDump(`has a trigger that cannot be read: ${beginning(statement)}`);
  }
  const definer = wrapped?.['definer'] === undefined ? '' : `${wrapped['definer']} `;
  return {
    kind: 'trigger',
    name: unquoteBytes(trigger['name']),
    table: unquoteBytes(trigger['table']),
    settings,
    head: `CREATE ${definer}TRIGGER `,
    tail: ` ${trigger['timing']} ${trigger['event']} ON \0 FOR EACH ROW${trigger['body']}`,
  };
}

function readWrapped(
  kind: 'event' | 'view',
  pattern: RegExp,
  statement: string,
  settings: Settings,
): StoredObject {
  const found = pattern.exec(statement)?.groups;
  if (found === undefined) {
    throw corruptDump(`has a ${kind} that cannot be read: ${beginning(statement)}`);
  }
  const options = [found['algorithm'], found['definer']].filter((one) => one !== undefined);
  return {
    kind,
    name: unquoteBytes(found['name']),
    table: null,
    settings,
    head: `${['CREATE', ...options, kind.toUpperCase()].join(' ')} `,
    tail: [found['tail'] ?? '', found['check']].filter((one) => one !== undefined).join(' '),
  };
}

function readRoutine(statement: string, settings: Settings): StoredObject {
  const found = ROUTINE.exec(statement)?.groups;
  if (found === undefined) {
    throw corruptDump(`has a routine that cannot be read: ${beginning(statement)}`);
  }
  return {
    kind: (found['kind'] ?? '').toLowerCase() as ObjectKind,
    name: unquoteBytes(found['name']),
    table: null,
    settings,
    head: found['head'] ?? '',
    tail: found['tail'] ?? '',
  };
}

function beginning(statement: string): string {
  return statement.slice(0, 200);
}
