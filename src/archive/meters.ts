import { createHash } from 'node:crypto';
import type { PartFacts, StreamReader } from '../core/source.ts';
import type { Tap } from './tap.ts';

/** Counts plain bytes and shows them to a format's reader. */
export interface PlainMeter extends Tap {
  readonly bytes: () => number;
  /** What the reader learnt; only after the end. */
  readonly facts: () => PartFacts;
}

export function plainMeter(reader: StreamReader | null): PlainMeter {
  let bytes = 0;
  let facts: PartFacts = {};
  return {
    chunk(plain) {
      bytes += plain.length;
      reader?.push(plain);
      return plain;
    },
    end() {
      facts = reader?.end() ?? {};
    },
    bytes: () => bytes,
    facts: () => facts,
  };
}

/** Counts stored bytes and hashes them. */
export interface StoredMeter extends Tap {
  readonly bytes: () => number;
  /** Hex; only after the end. */
  readonly sha256: () => string;
}

export function storedMeter(): StoredMeter {
  const hash = createHash('sha256');
  let bytes = 0;
  let sha256 = '';
  return {
    chunk(stored) {
      bytes += stored.length;
      hash.update(stored);
      return stored;
    },
    end() {
      sha256 = hash.digest('hex');
    },
    bytes: () => bytes,
    sha256: () => sha256,
  };
}
