import { fieldsOf, textOf } from './bson.ts';
import type { Client } from './client.ts';
import { OWN_DATABASE } from './names.ts';
import type { StoredView } from './views.ts';

/**
 * One restore or undo, as the server itself remembers it: in one document, so that a single write decides for all of its databases.
 * - `building`: collections are being loaded under `incoming.prefix`; nothing in use was touched.
 * - `forward`, `back`: names are changing; whoever finds it brings that to its end.
 * - `kept`: done; `outgoing` is what was put aside.
 */
export interface Mark {
  /** Of the restore or undo; unique. */
  readonly run: string;
  /** Whose work it is while it lasts: `<identity>/<source>/`. */
  readonly owner: string;
  readonly source: string;
  readonly at: string;
  readonly state: 'building' | 'forward' | 'back' | 'kept';
  /** The restore that this undoes; null for a restore. */
  readonly undoes: string | null;
  readonly exchanges: readonly Exchange[];
  /** A collection that is copied since the server does not rename it; null where none is. */
  readonly copy: Copy | null;
}

/** Until it is whole, what was copied is the one that counts. */
export interface Copy {
  readonly database: string;
  readonly from: string;
  readonly to: string;
  readonly isWhole: boolean;
}

/** What is to take the place of what in one database. */
export interface Exchange {
  readonly database: string;
  readonly incoming: Side;
  /** What is in use; empty where nothing is. */
  readonly outgoing: Side;
}

export interface Side {
  /** Put before the names of collections that are not in use. */
  readonly prefix: string;
  readonly collections: readonly string[];
  readonly views: readonly StoredView[];
}

const COLLECTION = 'restores';

/** What the server remembers of restores, the newest first. */
export async function readMarks(client: Client): Promise<readonly Mark[]> {
  const found = await client.list(OWN_DATABASE, { find: COLLECTION });
  return found
    .flatMap((document) => textOf(fieldsOf(document).get('mark')) ?? [])
    .map((mark) => JSON.parse(mark) as Mark)
    .toSorted((one, other) => other.at.localeCompare(one.at));
}

export async function readMark(client: Client, run: string): Promise<Mark | null> {
  const marks = await readMarks(client);
  return marks.find((mark) => mark.run === run) ?? null;
}

/** Writes it, or in the place of the one of the same run; it is on the disk when this resolves. */
export async function writeMark(client: Client, mark: Mark): Promise<void> {
  await client.run(OWN_DATABASE, {
    update: COLLECTION,
    updates: [
      { q: { _id: mark.run }, u: { _id: mark.run, mark: JSON.stringify(mark) }, upsert: true },
    ],
    writeConcern: { w: 'majority', j: true },
  });
}

/** Idempotent. The database stays, empty: another backupd may be about to write into it. */
export async function removeMark(client: Client, run: string): Promise<void> {
  await client.run(OWN_DATABASE, {
    delete: COLLECTION,
    deletes: [{ q: { _id: run }, limit: 1 }],
  });
}
