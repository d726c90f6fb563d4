import { quoteBytes, schemaRenamed, unquoteBytes } from './sql.ts';

/** What a database has besides tables, in the order in which it is made: each may use those before it. */
export const KINDS = [
  'trigger',
  'function',
  'procedure',
  'package',
  'package body',
  'view',
  'event',
] as const;
export type ObjectKind = (typeof KINDS)[number];

/**
 * Something of a database that is no table, taken apart so that it can be made elsewhere. Text is as it was written, one
 * character a byte (latin1): it may be in any character set.
 */
export interface StoredObject {
  readonly kind: ObjectKind;
  readonly name: string;
  /**
   * What it has to be made with: `sql_mode`, `character_set_client`... and their values as SQL; under `database` the character
   * set that its database had, where that is another one now.
   */
  readonly settings: Readonly<Record<string, string>>;
  /** Of a trigger: its table. */
  readonly table: string | null;
  /** `CREATE ... VIEW`, up to the name. */
  readonly head: string;
  /** What follows the name; of a trigger what follows the table's. */
  readonly tail: string;
}

/** What an object is called for a while, and where. */
export interface OtherNames {
  readonly name?: string;
  /** Of a trigger. */
  readonly table?: string;
  /** A schema in its text, and what it is called here. */
  readonly schema?: { readonly from: string; readonly to: string };
}

/** The script by which a client makes an object, whatever was set before; in bytes. */
export function createScript(object: StoredObject, other: OtherNames = {}): string {
  const settings = Object.entries(object.settings).map(([name, value]) =>
    name === 'database' ? `ALTER DATABASE ${value};\n` : `SET ${name} = ${value};\n`,
  );
  const table = quoteBytes(other.table ?? object.table ?? '');
  const tail = object.kind === 'trigger' ? object.tail.replace('\0', () => table) : object.tail;
  const renamed = other.schema === undefined ? tail : schemaRenamed(tail, other.schema);
  const replaced =
    object.kind === 'view' ? object.head.replace(/^CREATE/, 'CREATE OR REPLACE') : object.head;
  const statement = `${replaced}${quoteBytes(other.name ?? object.name)}${renamed}`;
  return `${settings.join('')}DELIMITER ;;\n${statement}\n;;\nDELIMITER ;\n`;
}

/** The same, made with what its database has then: that cannot be changed under a lock. */
export function inAnyDatabase(object: StoredObject): StoredObject {
  const { database: _characters, ...settings } = object.settings;
  return { ...object, settings };
}

/** The triggers of a table, in their order. */
export function triggersOf(
  objects: readonly StoredObject[],
  table: string,
): readonly StoredObject[] {
  return objects.filter((object) => object.kind === 'trigger' && object.table === table);
}

/** The statement that drops an object. */
export function dropStatement({ kind, name }: Pick<StoredObject, 'kind' | 'name'>): string {
  return `DROP ${kind.toUpperCase()} IF EXISTS ${quoteBytes(name)};\n`;
}

/** Views in the order in which they can be made: each after those it reads. */
export function inOrder(objects: readonly StoredObject[]): readonly StoredObject[] {
  const views = new Map(
    objects.filter(({ kind }) => kind === 'view').map((view) => [view.name, view]),
  );
  const ordered = new Set<StoredObject>();
  const entered = new Set<StoredObject>();
  function add(view: StoredObject): void {
    if (entered.has(view)) {
      return;
    }
    entered.add(view);
    for (const name of readBy(view)) {
      const other = views.get(name);
      if (other !== undefined) {
        add(other);
      }
    }
    ordered.add(view);
  }
  for (const view of views.values()) {
    add(view);
  }
  return KINDS.flatMap((kind) =>
    kind === 'view' ? [...ordered] : objects.filter((object) => object.kind === kind),
  );
}

/** Names of what a view may read: those behind FROM, JOIN, a comma or a bracket, with or without a schema. */
function readBy({ tail }: StoredObject): readonly string[] {
  const found = tail.matchAll(
    /(?:\bfrom|\bjoin|,|\()\s*\(*(?:\x60(?:[^\x60]|\x60\x60)+\x60\.)?(\x60(?:[^\x60]|\x60\x60)+\x60)/gi,
  );
  return [...found].map(([, name]) => unquoteBytes(name));
}
