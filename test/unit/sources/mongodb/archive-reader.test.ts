import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { PartFacts } from '../../../../src/core/source.ts';
import { archiveReader } from '../../../../src/sources/mongodb/archive-reader.ts';
import { asRead, writeDocument } from '../../../../src/sources/mongodb/bson.ts';
import { crc64 } from '../../../../src/sources/mongodb/crc64.ts';
import { cutAt, anyCuts } from '../../../support/archives.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures/mongodb-archive');
const SHOP = readFileSync(join(FIXTURES, 'shop.archive'));
const CORRUPT = expect.objectContaining({ code: 'archive-corrupt' }) as Error;
const END = Buffer.from([0xff, 0xff, 0xff, 0xff]);

function read(bytes: Uint8Array, cuts: readonly number[] = []): PartFacts {
  const reader = archiveReader();
  for (const piece of cutAt(bytes, cuts)) {
    reader.push(piece);
  }
  return reader.end();
}

/** Where blocks begin: behind the first terminator, which no text of the fixture holds. */
const BODY = SHOP.indexOf(END) + END.length;

test('an archive of the real tool is whole, and all of it is counted', () => {
  expect(read(SHOP)).toEqual({
    tables: {
      customers: { rows: 3, exact: true },
      'fs.chunks': { rows: 2, exact: true },
      nothing: { rows: 0, exact: true },
      'We`ird "tä ble*': { rows: 1, exact: true },
    },
    sequences: {},
    objects: { collections: 4, indexes: 5 },
  });
});

test('it reads the same wherever it is cut into pieces', () => {
  const whole = read(SHOP);
  fc.assert(
    fc.property(anyCuts(), (cuts) => {
      expect(read(SHOP, cuts)).toEqual(whole);
    }),
  );
  expect(
    read(
      SHOP,
      [...SHOP.keys()].map((at) => at / SHOP.length),
    ),
  ).toEqual(whole);
});

test('it is not whole where it ends at any earlier byte', () => {
  for (let length = 0; length < SHOP.length; length += 1) {
    expect(() => read(SHOP.subarray(0, length)), `${length} bytes`).toThrow(CORRUPT);
  }
});

test('any bit that flips in its blocks is seen', () => {
  for (let at = BODY * 8; at < SHOP.length * 8; at += 1) {
    const flipped = Buffer.from(SHOP);
    flipped[at >> 3] = (flipped[at >> 3] ?? 0) ^ (1 << (at & 7));
    expect(() => read(flipped), `bit ${at}`).toThrow(CORRUPT);
  }
});

test.each([
  ['of a database that was not there', readFileSync(join(FIXTURES, 'missing.archive'))],
  ['doubled', Buffer.concat([SHOP, SHOP])],
  ['longer by a terminator', Buffer.concat([SHOP, END])],
  ['longer by its blocks', Buffer.concat([SHOP, SHOP.subarray(BODY)])],
  ['without its beginning', SHOP.subarray(4)],
  ['something else', Buffer.from('-- MySQL dump\n')],
  ['empty', Buffer.alloc(0)],
])('it is refused where it is %s', (_how, bytes) => {
  expect(() => read(bytes)).toThrow(CORRUPT);
});

const MAGIC = Buffer.from([0x6d, 0xe2, 0x99, 0x81]);
const HEADER = writeDocument({
  concurrent_collections: 4,
  version: '0.1',
  server_version: '8.0.0',
});

function announced(collection: string, type = 'collection', db = 'shop'): Buffer {
  return writeDocument({ db, collection, metadata: '{"indexes":[]}', size: 0, type });
}

function int64(value: bigint): ReturnType<typeof asRead> {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt.asIntN(64, value));
  return asRead({ type: 0x12, value: bytes });
}

function block(collection: string, documents: readonly Buffer[] = []): Buffer {
  const header = writeDocument({ db: 'shop', collection, EOF: false, CRC: int64(0n) });
  return Buffer.concat([header, ...documents, END]);
}

function closed(collection: string, documents: readonly Buffer[] = []): Buffer {
  const checksum = crc64();
  checksum.push(Buffer.concat(documents));
  const CRC = int64(checksum.value());
  return Buffer.concat([writeDocument({ db: 'shop', collection, EOF: true, CRC }), END]);
}

function archive(announcements: readonly Buffer[], blocks: readonly Buffer[]): Buffer {
  return Buffer.concat([MAGIC, HEADER, ...announcements, END, ...blocks]);
}

const ONE = writeDocument({ _id: 1 });
const TWO = writeDocument({ _id: 2, text: 'x'.repeat(1000) });

test('collections take turns, each with a checksum of its own', () => {
  const all = [announced('a'), announced('b')];
  const blocks = [block('a', [ONE]), block('b', [TWO]), block('a', [TWO]), closed('b', [TWO])];
  const { tables } = read(archive(all, [...blocks, closed('a', [ONE, TWO])]));
  expect(tables).toEqual({ a: { rows: 2, exact: true }, b: { rows: 1, exact: true } });
  expect(() => read(archive(all, [...blocks, closed('a', [TWO, ONE])]))).toThrow(
    /"a" that are not those that were dumped/,
  );
  expect(() => read(archive(all, blocks))).toThrow(/before the end of "a"/);
});

test('views and time series, whose data have another name in servers before 8.3', () => {
  const all = [announced('v', 'view'), announced('t', 'timeseries'), announced('a')];
  for (const data of ['system.buckets.t', 't']) {
    const blocks = [closed('v'), block(data, [ONE, TWO]), closed(data, [ONE, TWO]), closed('a')];
    expect(read(archive(all, blocks))).toMatchObject({
      tables: { t: { rows: 2 }, a: { rows: 0 } },
      objects: { collections: 2, views: 1 },
    });
  }
});

test.each([
  ['a block of what was not announced', archive([announced('a')], [closed('a'), closed('b')])],
  ['documents after the last', archive([announced('a')], [closed('a'), block('a', [ONE])])],
  ['what is announced twice', archive([announced('a'), announced('a')], [closed('a')])],
  ['two databases', archive([announced('a'), announced('b', 'view', 'wiki')], [closed('a')])],
  [
    'documents where there can be none',
    archive([announced('a')], [Buffer.concat([closed('a').subarray(0, -END.length), ONE, END])]),
  ],
])('%s: refused', (_what, bytes) => {
  expect(() => read(bytes)).toThrow(CORRUPT);
});

test('names that JavaScript knows are names', () => {
  const { tables } = read(archive([announced('__proto__')], [closed('__proto__')]));
  expect(Object.entries(tables ?? {})).toEqual([['__proto__', { rows: 0, exact: true }]]);
});
