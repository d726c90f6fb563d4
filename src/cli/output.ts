import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import type { Emit, RunEvent } from '../core/events.ts';
import type { Io, OutStream } from './io.ts';
import type { Progress } from './progress.ts';
import { renderLine, type Line } from './text.ts';

/**
 * How long a question waits for its answer. With `docker exec -t` but without `-i` there is a terminal and nobody who
 * could answer; such a process must not stay for ever.
 */
const ANSWER_WITHIN_MS = 600_000;
const DEFAULT_COLUMNS = 80;

/** Where a command says what it has to say. */
export interface Output {
  readonly json: boolean;
  /** Whether there is somebody to ask. */
  readonly interactive: boolean;
  /** For bytes that are the result themselves. */
  readonly stdout: Writable;
  /** What happens in a run, for the one in front of the screen. */
  readonly emit: Emit;
  /** From now on. Only commands do: measuring text takes memory that the daemon does not need. */
  showProgress(): Promise<void>;
  /** How many plain bytes the next backup of a source probably has; null: unknown. */
  expect(source: string, bytes: number | null): void;
  /** The result for people, on stdout; nothing with `--json`. */
  print(...lines: readonly Line[]): void;
  /** The result for programs, on stdout: one document; nothing without `--json`. */
  printJson(document: unknown): void;
  /** What is said beside the result, on stderr; nothing with `--json`. */
  note(...lines: readonly Line[]): void;
  /** Asks on stderr; no answer is a no. */
  confirm(question: string, signal: AbortSignal): Promise<boolean>;
  /** Takes what is drawn off the screen. */
  close(): void;
}

export function output(io: Io, json: boolean): Output {
  const { stdin, stdout, stderr } = io;
  let progress: Progress | null = null;

  function write(stream: OutStream, lines: readonly Line[]): void {
    progress?.clear();
    stream.write(lines.map((line) => `${renderLine(line, stream)}\n`).join(''));
  }

  function note(...lines: readonly Line[]): void {
    if (!json && lines.length > 0) {
      write(stderr, lines);
    }
  }

  return {
    json,
    interactive: !json && stdin.isTTY === true && stderr.isTTY === true,
    stdout,
    emit(event) {
      if (!json) {
        note(...noteLines(event));
        progress?.emit(event);
      }
    },
    async showProgress() {
      const { progressDisplay } = await import('./progress.ts');
      progress = progressDisplay({
        write: (text) => stderr.write(text),
        columns: () => (stderr.isTTY === true ? widthOf(stderr) : null),
        elapsedMs: () => io.elapsedMs(),
      });
    },
    expect(source, bytes) {
      progress?.expect(source, bytes);
    },
    print(...lines) {
      if (!json && lines.length > 0) {
        write(stdout, lines);
      }
    },
    printJson(document) {
      if (json) {
        stdout.write(`${JSON.stringify(document)}\n`);
      }
    },
    note,
    async confirm(question, signal) {
      progress?.clear();
      const within = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
      const answer = await ask(`${question} [y/N] `, io, within);
      signal.throwIfAborted();
      if (answer === null) {
        stderr.write('\n');
      }
      return /^y(?:es)?$/i.test(answer?.trim() ?? '');
    },
    close() {
      progress?.clear();
    },
  };
}

/** A terminal whose size nobody told, as that of `docker exec -t` at first, says 0. */
function widthOf({ columns = 0 }: OutStream): number {
  return columns > 0 ? columns : DEFAULT_COLUMNS;
}

/** A line from stdin; null where it ended or time was up. */
async function ask(question: string, io: Io, signal: AbortSignal): Promise<string | null> {
  io.stderr.write(question);
  const lines = createInterface({ input: io.stdin, signal });
  try {
    return await new Promise<string | null>((resolve) => {
      lines.once('line', resolve);
      // A terminal that is gone answers nothing: its error is one of the ways to a no.
      for (const end of ['close', 'error']) {
        lines.on(end, () => {
          resolve(null);
        });
      }
    });
  } finally {
    lines.close();
  }
}

/** What a person should see of an event beside the progress; the result of the command says the rest. */
function noteLines(event: RunEvent): readonly Line[] {
  if (event.type === 'backup-warning') {
    return [warningLine(`${event.source}: ${event.warning.message}`)];
  }
  if (event.type === 'recovered') {
    return [`${event.source}: cleared up after a process that had died: ${event.what}`];
  }
  if (event.type === 'copy-lost') {
    const { source, id, destination, message } = event;
    return [warningLine(`${source}: the copy of ${id} at ${destination} is lost: ${message}`)];
  }
  if (event.type === 'namespace-taken') {
    const { destination, from } = event;
    return from === null ? [] : [`${destination}: taken over from ${from}`];
  }
  if (event.type === 'copy-taken') {
    const { source, id, destination, why } = event;
    return [
      warningLine(
        `${source}: backup ${id} is damaged here (${why}): the copy at ${destination} is taken`,
      ),
    ];
  }
  return event.type === 'recovery-postponed'
    ? [warningLine(`${event.source}: could not clear up yet: ${event.reason}`)]
    : [];
}

export function warningLine(text: string): Line {
  return [{ text: 'warning: ', format: 'yellow' }, text];
}
