/** The checksum of mongodump's archives: CRC-64 with ECMA-182's polynomial, reflected; https://reveng.sourceforge.io ("CRC-64/XZ"). */
export interface Crc64 {
  push(bytes: Uint8Array): void;
  value(): bigint;
}

const POLYNOMIAL = 0xc96c5795d7870f42n;
/** Bytes that are looked up at a time. */
const STEP = 8;
const LOW = 0xffff_ffffn;

/** Two halves of 32 bits, since Node reckons with them quickly: of table `n` and byte `b` at `n * 256 + b`. */
const { low: LOW_TABLE, high: HIGH_TABLE } = makeTables();

function makeTables(): { readonly low: Uint32Array; readonly high: Uint32Array } {
  const whole = new BigUint64Array(STEP * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let rest = BigInt(byte);
    for (let bit = 0; bit < 8; bit += 1) {
      rest = (rest & 1n) === 1n ? (rest >> 1n) ^ POLYNOMIAL : rest >> 1n;
    }
    whole[byte] = rest;
  }
  for (let at = 256; at < whole.length; at += 1) {
    const before = whole[at - 256] ?? 0n;
    whole[at] = (before >> 8n) ^ (whole[Number(before & 0xffn)] ?? 0n);
  }
  return {
    low: Uint32Array.from(whole, (entry) => Number(entry & LOW)),
    high: Uint32Array.from(whole, (entry) => Number(entry >> 32n)),
  };
}

export function crc64(): Crc64 {
  let low = 0xffff_ffff;
  let high = 0xffff_ffff;

  /* oxlint-disable typescript/no-non-null-assertion -- every index is within the table, and this is where the time goes. */
  function lookUp(table: Uint32Array, one: number, other: number): number {
    return (
      table[7 * 256 + (one & 0xff)]! ^
      table[6 * 256 + ((one >>> 8) & 0xff)]! ^
      table[5 * 256 + ((one >>> 16) & 0xff)]! ^
      table[4 * 256 + (one >>> 24)]! ^
      table[3 * 256 + (other & 0xff)]! ^
      table[2 * 256 + ((other >>> 8) & 0xff)]! ^
      table[256 + ((other >>> 16) & 0xff)]! ^
      table[other >>> 24]!
    );
  }

  return {
    push(bytes) {
      const whole = bytes.length - (bytes.length % STEP);
      let at = 0;
      for (; at < whole; at += STEP) {
        const one =
          low ^
          (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
        const other =
          high ^
          (bytes[at + 4]! |
            (bytes[at + 5]! << 8) |
            (bytes[at + 6]! << 16) |
            (bytes[at + 7]! << 24));
        low = lookUp(LOW_TABLE, one, other);
        high = lookUp(HIGH_TABLE, one, other);
      }
      for (; at < bytes.length; at += 1) {
        const index = (low ^ bytes[at]!) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ LOW_TABLE[index]!;
        high = (high >>> 8) ^ HIGH_TABLE[index]!;
      }
    },
    value() {
      return (BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0);
    },
  };
  /* oxlint-enable typescript/no-non-null-assertion */
}
