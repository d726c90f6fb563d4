import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BackupdError } from '../../../../src/core/errors.ts';
import type { PartFacts } from '../../../../src/core/source.ts';
import { postgresArchiveReader } from '../../../../src/sources/postgres/archive.ts';
import { readToc } from '../../../../src/sources/postgres/toc.ts';
import { anyCuts, cutAt, goldenArchive, streamOf } from '../../../support/archives.ts';
import {
  archiveBytes,
  blockBytes,
  tableOfContents,
  type PaperArchive,
  type PaperBlock,
} from '../../../support/pg-archive.ts';

function read(pieces: readonly Uint8Array[]): PartFacts {
  const reader = postgresArchiveReader();
  for (const piece of pieces) {
    reader.push(piece);
  }
  return reader.end();
}

/** What is wrong with it; null: nothing. */
function complaint(...pieces: readonly Uint8Array[]): string | null {
  try {
    read(pieces);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(BackupdError);
    const { code, message } = error as BackupdError;
    return `${code}: ${message}`;
  }
}

/** The least length, from this one on, at which an archive that is cut there passes for whole. */
function firstUnrefusedCut(archive: Buffer, from: number): number {
  for (let length = from; length < archive.length; length += 1) {
    const said = complaint(archive.subarray(0, length));
    if (said === null || !said.startsWith('archive-corrupt: ends ')) {
      return length;
    }
  }
  return archive.length;
}

const TABLES: PaperArchive = {
  entries: [
    { dumpId: 3, desc: 'TABLE' },
    { dumpId: 7, desc: 'TABLE DATA', tag: 'orders', hasData: true, dependencies: [3] },
    { dumpId: 8, desc: 'TABLE DATA', tag: 'lines', hasData: true },
    { dumpId: 9, desc: 'BLOBS', tag: 'BLOBS', hasData: true },
  ],
  blocks: [],
};
const ROWS = [Buffer.from('1\tone\n'), Buffer.from('2\ttwo\n')];
const ORDERS: PaperBlock = { dumpId: 7, chunks: ROWS };
const LINES: PaperBlock = { dumpId: 8, chunks: [] };
const OBJECTS: PaperBlock = {
  dumpId: 9,
  largeObjects: [
    { oid: 4_000_000_000, chunks: ROWS },
    { oid: 16_500, chunks: [] },
  ],
};

describe('archives of pg_dump', () => {
  const RICH = ['rich-15', 'rich-17', 'rich-18'];
  const SMALL = ['small-15', 'small-17', 'small-18', 'small-17-gzip', 'latin1-17', 'extension-17'];
  const ALL = [...RICH, ...SMALL];

  test.each(RICH)('%s is whole, with the values of its sequences', async (name) => {
    expect(read([await goldenArchive(name)])).toEqual({
      sequences: {
        '"We ird"."Ta.b""le é_a_seq"': '2',
        '"We ird"."se\'q"': '9007199254740993',
        'app.users_id_seq': '5',
        'public.going_down': '-4',
        'public.never_called': '7 (not called)',
      },
    });
  });

  test('names in another encoding are read in it', async () => {
    expect(read([await goldenArchive('latin1-17')])).toEqual({
      sequences: {
        'public."Zähler"': '1 (not called)',
        'public."größe_a_seq"': '1 (not called)',
      },
    });
  });

  test('sequences that an extension owns are left out', async () => {
    expect(read([await goldenArchive('extension-17')])).toEqual({
      sequences: { 'public.own_numbers': '1' },
    });
  });

  test.each(SMALL)('%s is refused wherever it is cut', async (name) => {
    const archive = await goldenArchive(name);
    expect(firstUnrefusedCut(archive, 0)).toBe(archive.length);
  });

  test.each(RICH)('%s is refused wherever its data is cut', async (name) => {
    const archive = await goldenArchive(name);
    const { bytes } = await readToc(streamOf([archive]));
    expect(firstUnrefusedCut(archive, bytes.length)).toBe(archive.length);
  });

  test.each(ALL)('%s is refused with anything behind it', async (name) => {
    const archive = await goldenArchive(name);
    const refused = 'archive-corrupt: has bytes after its last block of data';
    expect(complaint(archive, Buffer.alloc(1))).toBe(refused);
    expect(complaint(archive, archive)).toBe(refused);
  });

  test.each(ALL)('%s is read byte by byte as well', async (name) => {
    const archive = await goldenArchive(name);
    const bytes = [...archive].map((byte) => Uint8Array.of(byte));
    expect(read(bytes)).toEqual(read([archive]));
  });
});

describe('made up archives', () => {
  test('are read in whatever pieces they come', () => {
    const chunk = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat({ max: 70_000 }).map((length) => new Uint8Array(length)),
    );
    const chunks = fc.array(chunk, { maxLength: 6 });
    const object = fc.record({ oid: fc.integer({ min: 1, max: 0xffff_ffff }), chunks });
    fc.assert(
      fc.property(
        fc.array(fc.oneof(chunks, fc.array(object, { maxLength: 4 })), { maxLength: 6 }),
        fc.constantFrom(14, 15, 16),
        anyCuts(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (contents, minor, cuts, place) => {
          const blocks = contents.map((content, index): PaperBlock => {
            const dumpId = index + 1;
            return content.some((part) => 'oid' in part)
              ? { dumpId, largeObjects: content as { oid: number; chunks: Uint8Array[] }[] }
              : { dumpId, chunks: content as Uint8Array[] };
          });
          const entries = blocks.map((block) => ({
            dumpId: block.dumpId,
            hasData: true,
            desc: 'largeObjects' in block ? 'BLOBS' : 'TABLE DATA',
          }));
          const archive = archiveBytes({ minor, entries, blocks });
          expect(complaint(...cutAt(archive, cuts))).toBeNull();
          const length = Math.floor(place * archive.length);
          expect(complaint(...cutAt(archive.subarray(0, length), cuts))).toMatch(/: ends /);
        },
      ),
    );
  });

  test('may have their blocks in any order', () => {
    expect(complaint(archiveBytes({ ...TABLES, blocks: [OBJECTS, LINES, ORDERS] }))).toBeNull();
  });

  test.each([
    [[ORDERS, LINES], 'ends before the data of BLOBS "BLOBS"'],
    [[ORDERS, OBJECTS], 'ends before the data of TABLE DATA "lines"'],
    [[ORDERS, ORDERS, LINES, OBJECTS], 'has a block of data of type 1 for entry 7'],
    [[ORDERS, LINES, OBJECTS, LINES], 'has bytes after its last block of data'],
    [[{ ...ORDERS, dumpId: 3 }], 'has a block of data of type 1 for entry 3'],
    [[{ ...OBJECTS, dumpId: 7 }], 'has a block of data of type 3 for entry 7'],
    [[{ ...ORDERS, dumpId: 9 }], 'has a block of data of type 1 for entry 9'],
  ])('are refused where a block is missing, doubled or foreign: %#', (blocks, said) => {
    expect(complaint(archiveBytes({ ...TABLES, blocks }))).toContain(`archive-corrupt: ${said}`);
  });

  test('are refused with a block of an unknown type', () => {
    const block = blockBytes(ORDERS);
    block[0] = 2;
    expect(complaint(tableOfContents(TABLES), block)).toContain('of type 2 for entry 7');
  });

  test('are refused with a chunk of negative length', () => {
    const block = blockBytes(ORDERS);
    block[6] = 1;
    expect(complaint(tableOfContents(TABLES), block)).toContain('chunk of negative length');
  });

  test('are refused with two entries of one number', () => {
    const entry = { dumpId: 7, desc: 'TABLE DATA', hasData: true };
    const toc = tableOfContents({ entries: [entry, entry], blocks: [] });
    expect(complaint(toc)).toContain('has two entries 7');
  });

  test.each([
    ['PGDMX', Buffer.from('PGDMX-------------')],
    ['a script', Buffer.from('--\n-- PostgreSQL database dump\n--\n')],
  ])('are refused where they are none: %s', (_what, bytes) => {
    expect(complaint(bytes)).toBe('archive-corrupt: is no archive of pg_dump');
  });

  test.each([13, 17])('of version 1.%i are not supported', (minor) => {
    const said = complaint(tableOfContents({ ...TABLES, minor }));
    expect(said).toMatch(new RegExp(`^format-unsupported: has version 1.${minor} `));
  });

  test.each([
    ['the size of integers', 8],
    ['the size of offsets', 9],
    ['the format', 10],
  ])('are refused where the header is wrong: %s', (_what, at) => {
    const toc = tableOfContents(TABLES);
    toc[at] = 11;
    expect(complaint(toc)).toBe('archive-corrupt: has a header that no pg_dump writes');
  });

  test('do not make us wait for a string of gigabytes', () => {
    const toc = tableOfContents(TABLES);
    toc.writeUInt32LE(0x7fff_ffff, toc.indexOf('shop') - 4);
    expect(complaint(toc)).toContain('has a string of 2147483647 bytes');
  });
});
