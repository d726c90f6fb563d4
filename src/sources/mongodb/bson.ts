/** A document as it travels: https://bsonspec.org. */
export type Bson = Uint8Array;

/** A field of a document; its value is not looked into until somebody asks. */
export interface Field {
  readonly type: number;
  readonly value: Uint8Array;
}

/** A value that is written as it was read. */
export interface AsRead {
  readonly [AS_READ]: Field;
}

/** What a document that is written may hold; bytes are binary data. */
export type Writable =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | AsRead
  | readonly Writable[]
  | { readonly [name: string]: Writable };

const AS_READ = Symbol('as read');

const DOUBLE = 0x01;
const TEXT = 0x02;
const DOCUMENT = 0x03;
const ARRAY = 0x04;
const BINARY = 0x05;
const BOOLEAN = 0x08;
const NULL = 0x0a;
const INT32 = 0x10;
const INT64 = 0x12;

/** Bytes that a value of a type takes, where that is always the same. */
const FIXED: ReadonlyMap<number, number> = new Map([
  [DOUBLE, 8],
  [0x06, 0],
  [0x07, 12],
  [BOOLEAN, 1],
  [0x09, 8],
  [NULL, 0],
  [INT32, 4],
  [0x11, 8],
  [INT64, 8],
  [0x13, 16],
  [0x7f, 0],
  [0xff, 0],
]);

/** What is no document. */
export class BsonError extends Error {
  override readonly name = 'BsonError';
}

export function asRead(field: Field): AsRead {
  return { [AS_READ]: field };
}

export function embedded(document: Bson): AsRead {
  return asRead({ type: DOCUMENT, value: document });
}

/** The fields of a document by name. @throws BsonError where it is none */
export function fieldsOf(document: Bson): ReadonlyMap<string, Field> {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  if (bytes.length < 5 || bytes.readInt32LE(0) !== bytes.length || bytes.at(-1) !== 0) {
    throw new BsonError('its length is wrong');
  }
  const fields = new Map<string, Field>();
  let at = 4;
  while (at < bytes.length - 1) {
    const type = bytes[at] ?? 0;
    const start = bytes.indexOf(0, at + 1) + 1;
    const end = start + sizeOf(bytes, type, start);
    if (start === 0 || end < start || end > bytes.length - 1) {
      throw new BsonError('a field goes beyond its end');
    }
    if (type === TEXT && bytes[end - 1] !== 0) {
      throw new BsonError('a text has no end');
    }
    fields.set(bytes.toString('utf8', at + 1, start - 1), {
      type,
      value: bytes.subarray(start, end),
    });
    at = end;
  }
  return fields;
}

function sizeOf(bytes: Buffer, type: number, at: number): number {
  const fixed = FIXED.get(type);
  if (fixed !== undefined) {
    return fixed;
  }
  if (type === 0x0b) {
    const patternEnd = bytes.indexOf(0, at);
    return bytes.indexOf(0, patternEnd + 1) + 1 - at;
  }
  const length = at + 4 <= bytes.length ? bytes.readInt32LE(at) : -1;
  const size = {
    [TEXT]: 4 + length,
    [DOCUMENT]: length,
    [ARRAY]: length,
    [BINARY]: 5 + length,
    0x0c: 4 + length + 12,
    0x0d: 4 + length,
    0x0e: 4 + length,
    0x0f: length,
  }[type];
  if (size === undefined || length < 0) {
    throw new BsonError(`a field has the unknown type ${type}, or no length`);
  }
  return size;
}

/** Null where there is no such field, or where it is no text. */
export function textOf(field: Field | undefined): string | null {
  return field?.type === TEXT
    ? Buffer.from(field.value).toString('utf8', 4, field.value.length - 1)
    : null;
}

/** Null where there is no such field, or where it is no number. */
export function numberOf(field: Field | undefined): number | null {
  const bytes = Buffer.from(field?.value ?? []);
  const type = field?.type ?? NULL;
  if (type === DOUBLE) {
    return bytes.readDoubleLE();
  }
  if (type === INT32) {
    return bytes.readInt32LE();
  }
  return type === INT64 ? Number(bytes.readBigInt64LE()) : null;
}

/** Null where there is no such field, or where it is no whole number of 64 bits. */
export function int64Of(field: Field | undefined): bigint | null {
  return field?.type === INT64 ? Buffer.from(field.value).readBigInt64LE() : null;
}

/** Null where there is no such field, or where it is neither true nor false. */
export function booleanOf(field: Field | undefined): boolean | null {
  const byte = field?.type === BOOLEAN ? field.value[0] : null;
  return byte === 0 || byte === 1 ? byte === 1 : null;
}

/** Null where there is no such field, or where it is no binary data. */
export function binaryOf(field: Field | undefined): Uint8Array | null {
  return field?.type === BINARY ? field.value.subarray(5) : null;
}

/** Null where there is no such field, or where it is no document. */
export function documentOf(field: Field | undefined): Bson | null {
  return field?.type === DOCUMENT ? field.value : null;
}

/** What a list holds; empty where there is no such field, or where it is no list. */
export function listOf(field: Field | undefined): readonly Field[] {
  return field?.type === ARRAY ? [...fieldsOf(field.value).values()] : [];
}

/** Writes a document; whole numbers that 32 bits hold become such, others doubles. */
export function writeDocument(fields: Readonly<Record<string, Writable>>): Buffer {
  return enclose(
    Object.entries(fields).map(([name, value]) => {
      const { type, bytes } = written(value);
      return Buffer.concat([Buffer.from([type]), Buffer.from(`${name}\0`), bytes]);
    }),
  );
}

function enclose(elements: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat([...elements, Buffer.from([0])]);
  return Buffer.concat([int32(body.length + 4), body]);
}

function written(value: Writable): { readonly type: number; readonly bytes: Uint8Array } {
  if (typeof value === 'string') {
    const text = Buffer.from(`${value}\0`);
    return { type: TEXT, bytes: Buffer.concat([int32(text.length), text]) };
  }
  if (typeof value === 'number') {
    return Number.isInteger(value) && Math.abs(value) < 2 ** 31
      ? { type: INT32, bytes: int32(value) }
      : { type: DOUBLE, bytes: double(value) };
  }
  if (typeof value === 'boolean') {
    return { type: BOOLEAN, bytes: Buffer.from([value ? 1 : 0]) };
  }
  return value === null ? { type: NULL, bytes: Buffer.alloc(0) } : writtenObject(value);
}

function writtenObject(value: Exclude<Writable, string | number | boolean | null>): {
  readonly type: number;
  readonly bytes: Uint8Array;
} {
  if (value instanceof Uint8Array) {
    const bytes = Buffer.concat([int32(value.length), Buffer.from([0]), value]);
    return { type: BINARY, bytes };
  }
  if (Array.isArray(value)) {
    const items = (value as readonly Writable[]).map((item, index) => [index, item] as const);
    return { type: ARRAY, bytes: writeDocument(Object.fromEntries(items)) };
  }
  if (AS_READ in value) {
    const field = value[AS_READ];
    return { type: field.type, bytes: field.value };
  }
  return { type: DOCUMENT, bytes: writeDocument(value as Readonly<Record<string, Writable>>) };
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}
