import type { PartFacts, StreamReader } from '../../core/source.ts';
import {
  BYTE_OR_END,
  CHUNKS,
  corrupt,
  readInt,
  startParser,
  type Grammar,
} from './archive-parser.ts';
import { qualifiedName } from './facts.ts';
import { readContents, type TocEntry } from './toc.ts';

const DATA_BLOCK = 1;
const LARGE_OBJECTS_BLOCK = 3;

/**
 * Checks an archive of pg_dump's custom format: every entry of its table of contents that has data must have its block,
 * once, and the archive must end with the last one. Knows the values of the sequences, which are in the table of contents.
 */
export function postgresArchiveReader(): StreamReader {
  const parser = startParser(readArchive());
  return {
    push(plain) {
      parser.push(plain);
    },
    end: () => parser.end(),
  };
}

function* readArchive(): Grammar<PartFacts> {
  const missing = new Map<number, Pick<TocEntry, 'desc' | 'tag'>>();
  const sequences = sequenceReader();
  yield* readContents((entry) => {
    if (entry.hasData && missing.has(entry.dumpId)) {
      throw corrupt(`has two entries ${entry.dumpId} in its table of contents`);
    }
    if (entry.hasData) {
      missing.set(entry.dumpId, { desc: entry.desc, tag: entry.tag });
    }
    sequences.read(entry);
  });
  for (let type = yield BYTE_OR_END; type.length > 0; type = yield BYTE_OR_END) {
    yield* readBlock(type[0] ?? 0, missing);
  }
  const [lost] = missing.values();
  if (lost !== undefined) {
    throw corrupt(`ends before the data of ${lost.desc} "${lost.tag}"`);
  }
  return { sequences: sequences.values };
}

function* readBlock(
  type: number,
  missing: Map<number, Pick<TocEntry, 'desc' | 'tag'>>,
): Grammar<void> {
  if (missing.size === 0) {
    throw corrupt('has bytes after its last block of data');
  }
  const dumpId = yield* readInt();
  const entry = missing.get(dumpId);
  if (entry === undefined || type !== blockType(entry)) {
    throw corrupt(
      `has a block of data of type ${type} for entry ${dumpId} that does not belong there`,
    );
  }
  missing.delete(dumpId);
  if (type === DATA_BLOCK) {
    yield CHUNKS;
    return;
  }
  // OIDs of large objects, each followed by its content, to the first that is 0.
  while ((yield* readInt()) !== 0) {
    yield CHUNKS;
  }
}

function blockType(entry: Pick<TocEntry, 'desc'>): number {
  return entry.desc === 'BLOBS' ? LARGE_OBJECTS_BLOCK : DATA_BLOCK;
}

interface SequenceReader {
  readonly read: (entry: TocEntry) => void;
  /** By qualified name: the last value, or `1 (not called)`. */
  readonly values: Readonly<Record<string, string>>;
}

/** A sequence that an extension owns has a value but no entry of its own; it is not ours to compare. */
function sequenceReader(): SequenceReader {
  const known = new Set<string>();
  const values: Record<string, string> = {};
  return {
    read(entry) {
      const name = qualifiedName({ schema: entry.namespace, name: entry.tag });
      if (entry.desc === 'SEQUENCE') {
        known.add(name);
      } else if (entry.desc === 'SEQUENCE SET' && known.has(name)) {
        const [, value = '', called] = /, (-?\d+), (true|false)\);\s*$/.exec(entry.defn) ?? [];
        values[name] = called === 'true' ? value : `${value} (not called)`;
      }
    },
    values,
  };
}
