/** What was true of one table when it was dumped. */
export interface TableFact {
  /** Rows; null where it could not be told. */
  readonly rows: number | null;
  /** false: the server's own estimate, never compared. */
  readonly exact: boolean;
}

/** What was true of one database (or volume) when it was dumped. */
export interface DatabaseFacts {
  /** What it takes on the server's disk; null where unknown. */
  readonly sizeBytes: number | null;
  /** By qualified name, quoted as the engine quotes it. */
  readonly tables: Readonly<Record<string, TableFact>>;
  /** Last value by qualified name, as text since they pass 2^53. */
  readonly sequences: Readonly<Record<string, string>>;
  /** Numbers of other objects by kind: `views`, `functions`, `extensions`, `largeObjects`... */
  readonly objects: Readonly<Record<string, number>>;
  /** Over all that it holds, where that can be told; absent where not. */
  readonly digest?: string;
}

/** What was true of a source when it was dumped; `databases` by name. */
export interface Facts {
  readonly serverVersion: string;
  readonly databases: Readonly<Record<string, DatabaseFacts>>;
}

/** Whether anything was looked at: with facts switched off no tables are told, which does not mean that there are none. */
export function wereTaken({ objects }: DatabaseFacts): boolean {
  return Object.keys(objects).length > 0;
}

/** One thing that is not as it was when it was dumped; null: it is not there. */
export interface Difference {
  readonly database: string;
  /** What differs: `rows of public.orders`, `sequence public.orders_id_seq`, `views`. */
  readonly what: string;
  readonly expected: number | string | null;
  readonly actual: number | string | null;
}

/** How a comparison ended: only exact facts are compared, the others are named in `notCompared`. */
export interface Comparison {
  readonly compared: number;
  readonly matched: number;
  readonly differences: readonly Difference[];
  readonly notCompared: readonly string[];
}

/** Compares what a backup says of a database with what a restore has; a table that is missing or too many is a difference. */
export function compareFacts(
  database: string,
  expected: DatabaseFacts,
  actual: DatabaseFacts,
): Comparison {
  const differences: Difference[] = [];
  const notCompared: string[] = [];
  let compared = 0;

  function compare(
    what: string,
    before: number | string | null,
    after: number | string | null,
  ): void {
    compared += 1;
    if (before !== after) {
      differences.push({ database, what, expected: before, actual: after });
    }
  }

  function compareTable(name: string): void {
    const before = expected.tables[name];
    const after = actual.tables[name];
    if (before === undefined || after === undefined) {
      compare(`table ${name}`, presence(before), presence(after));
    } else if (before.exact) {
      // One that cannot be counted now is no match.
      compare(`rows of ${name}`, before.rows, after.exact ? after.rows : null);
    } else {
      notCompared.push(`rows of ${name}`);
    }
  }

  for (const name of union(expected.tables, actual.tables)) {
    compareTable(name);
  }
  for (const name of union(expected.sequences, actual.sequences)) {
    compare(`sequence ${name}`, expected.sequences[name] ?? null, actual.sequences[name] ?? null);
  }
  for (const kind of union(expected.objects, actual.objects)) {
    compare(kind, expected.objects[kind] ?? 0, actual.objects[kind] ?? 0);
  }
  if (expected.digest !== undefined) {
    compare('digest', expected.digest, actual.digest ?? null);
  }
  return { compared, matched: compared - differences.length, differences, notCompared };
}

function presence(fact: TableFact | undefined): 'present' | null {
  return fact === undefined ? null : 'present';
}

function union(
  one: Readonly<Record<string, unknown>>,
  other: Readonly<Record<string, unknown>>,
): readonly string[] {
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].toSorted();
}
