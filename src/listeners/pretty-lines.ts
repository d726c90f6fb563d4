/** What takes lines of text. */
export interface TextSink {
  write(text: string): unknown;
}

/**
 * Turns entries in JSON into one plain line each: `2026-11-22T02:00:00.000Z INFO  backup started source=db`. Values with
 * blanks, quotes or control characters are quoted, so that nothing logged can break a line or a terminal.
 */
export function prettyLines(sink: TextSink): TextSink {
  return {
    write(json) {
      const { time, level, msg, ...fields } = JSON.parse(json) as Readonly<Record<string, unknown>>;
      const facts = Object.entries(fields)
        .filter(([, value]) => value !== null)
        .map(([name, value]) => ` ${name}=${plain(value)}`);
      const head = `${text(time)} ${text(level).toUpperCase().padEnd(5)} ${text(msg)}`;
      sink.write(`${head}${facts.join('')}\n`);
    },
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function plain(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@%+-]+$/.test(value)
    ? value
    : escapeControls(JSON.stringify(value));
}

/** JSON leaves those of the second block as they are; terminals act on them. */
function escapeControls(json: string): string {
  return json.replaceAll(
    /[\u007F-\u009F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g,
    (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
