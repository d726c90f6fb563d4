import { corruptDump } from './sections.ts';

/** What has to be kept in memory of a dump: the objects and views sections. */
const LARGEST_OBJECTS_BYTES = 256 * 1024 * 1024;
const FIRST_LINE = /^-- backupd: tables (?<token>[0-9a-f]{32})\n/;
const FIRST_LINE_BYTES = '-- backupd: tables '.length + 33;

/** A dump in two: tables and rows to be passed on, everything else to be kept. */
export interface SplitDump {
  /** The tables section. */
  readonly tables: (dump: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>;
  /** What came after it, when that has ended; one character a byte. */
  readonly objects: () => string;
}

export function splitDump(): SplitDump {
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let ending: Buffer | null = null;
  let held: Buffer = Buffer.alloc(0);

  function keep(bytes: Buffer): void {
    keptBytes += bytes.length;
    if (keptBytes > LARGEST_OBJECTS_BYTES) {
      throw corruptDump(`has more than ${LARGEST_OBJECTS_BYTES} bytes of objects`);
    }
    kept.push(bytes);
  }

  /** Null as long as too little has come. */
  function readToken(): Buffer | null {
    if (held.length < FIRST_LINE_BYTES) {
      return null;
    }
    const token = FIRST_LINE.exec(held.toString('latin1', 0, FIRST_LINE_BYTES))?.groups?.['token'];
    if (token === undefined) {
      throw corruptDump('does not begin as a dump of backupd does');
    }
    return Buffer.from(`\n-- backupd: objects ${token}\n`);
  }

  /** What of the bytes that are held belongs to the tables; the rest is held, or kept. */
  function pass(end: Buffer): Buffer {
    const at = held.indexOf(end);
    if (at === -1) {
      const passed = held.subarray(0, Math.max(0, held.length - (end.length - 1)));
      held = held.subarray(passed.length);
      return passed;
    }
    const passed = held.subarray(0, at + 1);
    keep(held.subarray(at + 1));
    held = Buffer.alloc(0);
    return passed;
  }

  return {
    async *tables(dump) {
      for await (const bytes of dump) {
        if (keptBytes > 0) {
          keep(bytes);
          continue;
        }
        held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
        ending ??= readToken();
        if (ending !== null) {
          yield pass(ending);
        }
      }
      if (keptBytes === 0) {
        throw corruptDump('ends in its tables');
      }
    },
    objects: () => Buffer.concat(kept).toString('latin1'),
  };
}
