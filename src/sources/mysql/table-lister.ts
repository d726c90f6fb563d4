/** Lists the tables and sequences that the tables section of a dump makes. */
export interface TableLister {
  onComment(line: string): void;
  onText(text: Uint8Array): void;
  names(): readonly string[];
  /** What the next value is, as the dump sets it, by name. */
  sequences(): Readonly<Record<string, string>>;
}

const STRUCTURE = /^-- (?:Table|Sequence) structure for /;
/** Comments that quote a name: where that has a line break it goes on in the next comment line. */
const NAMED = /^-- (?:(?:Table|Sequence) structure|Dumping data) for /;
const TABLE = /^CREATE TABLE `(?<name>(?:[^`]|``)*)` \(/m;
const SEQUENCE = /^DO SETVAL\(`(?<name>(?:[^`]|``)*)`, (?<value>-?\d+), \d\);/m;

/** The statements behind the comment that announces a table or a sequence are few and short: those are kept and read. */
export function tableLister(): TableLister {
  const names: string[] = [];
  const sequences = new Map<string, string>();
  let kept: string[] | null = null;
  let isWithinName = false;
  const decoder = new TextDecoder();

  function read(statements: string): void {
    const table = TABLE.exec(statements)?.groups;
    const sequence = SEQUENCE.exec(statements)?.groups;
    if (sequence !== undefined) {
      sequences.set(unquote(sequence['name']), sequence['value'] ?? '');
    } else if (table !== undefined) {
      names.push(unquote(table['name']));
    }
  }

  function finish(): void {
    if (kept !== null) {
      read(kept.join('') + decoder.decode());
    }
    kept = null;
  }

  return {
    onComment(line) {
      const goesOn = isWithinName;
      isWithinName = hasOpenQuote(line) ? !goesOn && NAMED.test(line) : goesOn;
      // An empty comment line goes round each one with words.
      if (line.length > 3 && !goesOn) {
        finish();
        kept = STRUCTURE.test(line) ? [] : null;
      }
    },
    onText(text) {
      kept?.push(decoder.decode(text, { stream: true }));
    },
    names() {
      finish();
      return names;
    },
    sequences() {
      finish();
      return Object.fromEntries(sequences);
    },
  };
}

function hasOpenQuote(line: string): boolean {
  return line.split('`').length % 2 === 0;
}

function unquote(name = ''): string {
  return name.replaceAll('``', '`');
}
