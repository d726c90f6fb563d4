import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { bsonReader } from '../../../../src/sources/mongodb/accounts.ts';
import {
  asRead,
  BsonError,
  fieldsOf,
  listOf,
  numberOf,
  textOf,
  writeDocument,
} from '../../../../src/sources/mongodb/bson.ts';
import { cutAt } from '../../../support/archives.ts';

/** One field of every type that the specification has and that is not deprecated, by hand. */
const EVERY_TYPE = Buffer.from(
  [
    '016400000000000000f83f', // d: 1.5
    '027300030000006162 00', // s: "ab"
    '036f000c0000001061000100000000', // o: { a: 1 }
    '046c000c0000001030000200000000', // l: [2]
    '0562000200000000 0102', // b: two bytes
    '0775000123456789abcdef01234567', // u: an ObjectId
    '08740001', // t: true
    '0961000000000000000000', // a: a date
    '0a6e00', // n: null
    '0b7200612e006900', // r: /a./i
    '106900ffffffff', // i: -1
    '117700 0100000002000000', // w: a timestamp
    '126a000000000000000001', // j: 2^56
    '136d0000000000000000000000000000000000', // m: a decimal
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
);

test('fields of all types are told apart, whatever is in them', () => {
  const fields = [...fieldsOf(enclosed(EVERY_TYPE))].map(([name]) => name);
  expect(fields.join('')).toBe('dsolbutanriwjm');
});

test('values', () => {
  const fields = fieldsOf(enclosed(EVERY_TYPE));
  expect(numberOf(fields.get('d'))).toBe(1.5);
  expect(textOf(fields.get('s'))).toBe('ab');
  expect(listOf(fields.get('l')).map((one) => numberOf(one))).toEqual([2]);
  expect(numberOf(fields.get('i'))).toBe(-1);
  expect(numberOf(fields.get('j'))).toBe(2 ** 56);
  expect([textOf(fields.get('i')), numberOf(fields.get('s')), numberOf(undefined)]).toEqual([
    null,
    null,
    null,
  ]);
});

test('what is written is read again, and what was read is written as it was', () => {
  const anyValue = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true }), fc.boolean());
  const anyName = fc.string().filter((name) => !name.includes('\0'));
  fc.assert(
    fc.property(fc.dictionary(anyName, anyValue), (value) => {
      const document = writeDocument(value);
      const copy = [...fieldsOf(document)].map(([name, field]) => [name, asRead(field)] as const);
      expect(writeDocument(Object.fromEntries(copy))).toEqual(document);
    }),
  );
});

test('no bytes but those of a document are taken for one', () => {
  const document = writeDocument({ a: 1, b: 'text', c: [1, { d: null }] });
  for (let length = 0; length < document.length; length += 1) {
    expect(() => fieldsOf(document.subarray(0, length))).toThrow(BsonError);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => {
      const bytes = enclosed(Buffer.from(noise));
      try {
        fieldsOf(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(BsonError);
      }
    }),
  );
});

function enclosed(elements: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32LE(elements.length + 5);
  return Buffer.concat([length, elements, Buffer.from([0])]);
}

test('a file of documents is whole where it ends with one', () => {
  const file = Buffer.concat([writeDocument({ a: 1 }), writeDocument({ b: 'text' })]);
  const between = writeDocument({ a: 1 }).length;
  for (let length = 0; length <= file.length; length += 1) {
    for (const pieces of [
      cutAt(file.subarray(0, length), []),
      cutAt(file.subarray(0, length), [0.3, 0.5]),
    ]) {
      const reader = bsonReader();
      for (const piece of pieces) {
        reader.push(piece);
      }
      const isWhole = [0, between, file.length].includes(length);
      expect(isWhole ? reader.end() : catchFrom(() => reader.end()), `${length}`).toMatchObject(
        isWhole ? {} : { code: 'archive-corrupt' },
      );
    }
  }
  expect(() => bsonReader().push(Buffer.alloc(4))).toThrow('without a length');
});

function catchFrom(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
