/** Told the text of a dump in its order, cut into its comment lines and what lies between them. */
export interface CommentListener {
  /** Without its newline. */
  onComment(line: string): void;
  /** Some of what is no comment line; may be cut anywhere. */
  onText(text: Uint8Array): void;
}

/** Finds the lines that begin with `-- `, wherever the text is cut. */
export interface CommentLines {
  push(text: Uint8Array): void;
  end(): void;
}

const BEGINNING = Buffer.from('\n-- ');
const NEWLINE = 0x0a;
/** No tool writes a longer one; in what users wrote it may be, and counts as text. */
const LONGEST = 64 * 1024;

export function commentLines(listener: CommentListener): CommentLines {
  // Every line has a newline before it, also the first one.
  let held: Buffer = Buffer.from('\n');

  function tell(text: Buffer): void {
    if (text.length > 0) {
      listener.onText(text);
    }
  }

  /** @returns what cannot be told yet */
  function read(text: Buffer): Buffer {
    for (let from = 0; ;) {
      const at = text.indexOf(BEGINNING, from);
      if (at === -1) {
        const kept = Math.max(from, text.length - (BEGINNING.length - 1));
        tell(text.subarray(from, kept));
        return text.subarray(kept);
      }
      const end = text.indexOf(NEWLINE, at + 1);
      if (end === -1 && text.length - at <= LONGEST) {
        tell(text.subarray(from, at));
        return text.subarray(at);
      }
      if (end === -1 || end - at > LONGEST) {
        tell(text.subarray(from, at + BEGINNING.length));
        from = at + BEGINNING.length;
      } else {
        tell(text.subarray(from, at));
        listener.onComment(text.toString('utf8', at + 1, end));
        from = end;
      }
    }
  }

  return {
    push(text) {
      held = read(Buffer.concat([held, text]));
    },
    end() {
      // A comment line that never ended is none.
      tell(held);
    },
  };
}
