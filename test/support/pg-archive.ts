/** An archive of pg_dump's custom format, made up. */
export interface PaperArchive {
  readonly minor?: number;
  readonly entries: readonly PaperEntry[];
  readonly blocks: readonly PaperBlock[];
}

export interface PaperEntry {
  readonly dumpId: number;
  readonly hasData?: boolean;
  readonly desc?: string;
  readonly tag?: string;
  readonly namespace?: string;
  readonly defn?: string;
  readonly dependencies?: readonly number[];
}

export type PaperBlock =
  | { readonly dumpId: number; readonly chunks: readonly Uint8Array[] }
  | {
      readonly dumpId: number;
      readonly largeObjects: readonly {
        readonly oid: number;
        readonly chunks: readonly Uint8Array[];
      }[];
    };

function int(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = value < 0 ? 1 : 0;
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}

function text(value: string | null): Buffer {
  if (value === null) {
    return int(-1);
  }
  const bytes = Buffer.from(value);
  return Buffer.concat([int(bytes.length), bytes]);
}

/** Header and table of contents, as pg_dump writes them to a pipe. */
export function tableOfContents({ minor = 16, entries }: PaperArchive): Buffer {
  return Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.from([1, minor, 0, 4, 8, 1]),
    minor >= 15 ? Buffer.from([0]) : int(0),
    ...[1, 2, 3, 4, 5, 126, 0].map(int),
    ...['shop', '17.6', '17.6'].map(text),
    int(entries.length),
    ...entries.map((entry) => entryBytes(entry, minor)),
  ]);
}

function entryBytes(entry: PaperEntry, minor: number): Buffer {
  const hasData = entry.hasData ?? false;
  return Buffer.concat([
    int(entry.dumpId),
    int(hasData ? 1 : 0),
    text('1259'),
    text('16384'),
    text(entry.tag ?? 'orders'),
    text(entry.desc ?? 'TABLE'),
    int(2),
    text(entry.defn ?? null),
    text(''),
    text(null),
    text(entry.namespace ?? null),
    text(null),
    text('heap'),
    ...(minor >= 16 ? [int(114)] : []),
    text('app'),
    text('false'),
    ...(entry.dependencies ?? []).map((id) => text(String(id))),
    text(null),
    Buffer.from([hasData ? 1 : 3]),
    Buffer.alloc(8),
  ]);
}

export function blockBytes(block: PaperBlock): Buffer {
  if ('chunks' in block) {
    return Buffer.concat([Buffer.from([1]), int(block.dumpId), chunkBytes(block.chunks)]);
  }
  return Buffer.concat([
    Buffer.from([3]),
    int(block.dumpId),
    ...block.largeObjects.flatMap(({ oid, chunks }) => [
      // PostgreSQL writes an OID as a signed integer.
      int(oid > 0x7fffffff ? oid - 0x1_0000_0000 : oid),
      chunkBytes(chunks),
    ]),
    int(0),
  ]);
}

function chunkBytes(chunks: readonly Uint8Array[]): Buffer {
  return Buffer.concat([
    ...chunks
      .filter((chunk) => chunk.length > 0)
      .flatMap((chunk) => [int(chunk.length), Buffer.from(chunk)]),
    int(0),
  ]);
}

export function archiveBytes(archive: PaperArchive): Buffer {
  return Buffer.concat([tableOfContents(archive), ...archive.blocks.map(blockBytes)]);
}
