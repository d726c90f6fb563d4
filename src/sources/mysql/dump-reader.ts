import type { PartFacts, StreamReader } from '../../core/source.ts';
import { commentLines } from './comment-lines.ts';
import { objectCounter } from './object-counter.ts';
import { rowCounter } from './row-counter.ts';
import { sectionFollower } from './sections.ts';
import { tableLister } from './table-lister.ts';

/** Reads a dump as `dumpArgv` makes it, to its end, and counts its rows and objects on the way. */
export function dumpReader(): StreamReader {
  const sections = sectionFollower();
  const rows = rowCounter();
  const tables = tableLister();
  const objects = objectCounter();
  const lines = commentLines({
    onComment(line) {
      sections.onComment(line);
      if (sections.current() === 'tables') {
        tables.onComment(line);
      }
    },
    onText(text) {
      if (isBlank(text)) {
        return;
      }
      if (sections.onStatement() === 'tables') {
        tables.onText(text);
        rows.push(text);
      } else {
        objects.push(text);
      }
    },
  });

  return {
    push(plain) {
      lines.push(plain);
    },
    end(): PartFacts {
      lines.end();
      sections.end();
      const counted = tables
        .names()
        .map((name) => [name, { rows: rows.rows.get(name) ?? 0, exact: true }] as const);
      return {
        tables: Object.fromEntries(counted),
        sequences: tables.sequences(),
        objects: { tables: counted.length, ...objects.counts() },
      };
    },
  };
}

function isBlank(text: Uint8Array): boolean {
  return text.every((byte) => byte === 0x0a || byte === 0x20);
}
