import { createHash } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { bech32 } from '@scure/base';
import { Decrypter, Encrypter } from 'age-encryption';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { secret } from '../../../src/core/secret.ts';
import { CHUNK_BYTES, NONCE_BYTES, openPayload } from '../../../src/encryption/age-payload.ts';
import { openAgeEncrypter, openAgeIdentities } from '../../../src/encryption/age.ts';
import { anyBytes, anyCuts, cutAt, readAll, streamOf } from '../../support/archives.ts';
import { newAgeKey } from '../../support/keys.ts';
import { matching } from '../../support/matchers.ts';

/** Its types say less of it than there is. */
const PUBLISHED = (await import('cctv-age')) as unknown as Readonly<Record<string, Uint8Array>>;

const ONE = await newAgeKey();
const OTHER = await newAgeKey();

async function encrypt(
  pieces: readonly Buffer[],
  recipients: readonly string[] = [ONE.recipient],
): Promise<Buffer> {
  await using encrypter = await openAgeEncrypter(recipients);
  const [stage] = encrypter.encrypt();
  return (await readAll(streamOf(pieces).pipe(stage ?? expect.fail('no stage')))).bytes;
}

async function decrypt(
  pieces: readonly Buffer[],
  identities: readonly string[] = [ONE.identity],
): Promise<{ readonly bytes: Buffer; readonly error: unknown }> {
  await using secrets = await openAgeIdentities(secret(identities));
  const [stage] = secrets.decrypt();
  return await readAll(streamOf(pieces).pipe(stage ?? expect.fail('no stage')));
}

describe('files', () => {
  test('come back, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(anyBytes(), anyCuts(), anyCuts(), async (plain, there, back) => {
        const file = await encrypt(cutAt(plain, there), [OTHER.recipient, ONE.recipient]);
        const { bytes, error } = await decrypt(cutAt(file, back));
        expect(error).toBeNull();
        expect(bytes.equals(plain)).toBe(true);
      }),
    );
  });

  test('of ours are read by the library, and those of the library by us', async () => {
    await fc.assert(
      fc.asyncProperty(anyBytes(), async (plain) => {
        const reader = new Decrypter();
        reader.addIdentity(ONE.identity);
        expect(
          Buffer.from(plain).equals(await reader.decrypt(await encrypt([Buffer.from(plain)]))),
        ).toBe(true);
        const writer = new Encrypter();
        writer.addRecipient(ONE.recipient);
        const { bytes } = await decrypt([Buffer.from(await writer.encrypt(plain))]);
        expect(bytes.equals(plain)).toBe(true);
      }),
    );
  });

  test('have keys of their own', async () => {
    const plain = [Buffer.from('the same')];
    const [first, second] = await Promise.all([encrypt(plain), encrypt(plain)]);
    expect(first.equals(second)).toBe(false);
  });

  test('that are cut in header or nonce are refused', async () => {
    const file = await encrypt([Buffer.from('rows')]);
    for (let length = 0; length < file.length; length += 1) {
      const { bytes, error } = await decrypt([file.subarray(0, length)]);
      expect(error, `${length} bytes`).toMatchObject({ code: 'archive-corrupt' });
      expect(bytes.length).toBe(0);
    }
  });

  test('that are no files of age are refused, before all of it is kept', async () => {
    const zeros = Buffer.alloc(4 * 1024 * 1024);
    expect((await decrypt([zeros])).error).toMatchObject({
      code: 'archive-corrupt',
      message: 'is no file of age: it has no header',
    });
  });
});

test('a recipient for which nothing can be encrypted is named', async () => {
  // Every secret that is shared with it is zero.
  const useless = bech32.encodeFromBytes('age', new Uint8Array(32));
  await expect(openAgeEncrypter([ONE.recipient, useless])).rejects.toMatchObject({
    code: 'config-invalid',
    message: `BACKUPD_AGE_RECIPIENTS: nothing can be encrypted for ${useless}`,
  });
});

/** One of the published vectors for implementations of age (C2SP/CCTV, age). */
interface Vector {
  readonly name: string;
  readonly expected: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly file: Buffer;
}

function readVector(name: string, bytes: Buffer): Vector {
  const end = bytes.indexOf('\n\n');
  const lines = bytes.subarray(0, end).toString().split('\n');
  const fields = Object.fromEntries(lines.map((line) => line.split(': ', 2) as [string, string]));
  const body = bytes.subarray(end + 2);
  const file = fields['compressed'] === 'zlib' ? inflateSync(body) : body;
  return { name, expected: fields['expect'] ?? '', fields, file };
}

const VECTORS = Object.entries(PUBLISHED).map(([name, bytes]) =>
  readVector(name, Buffer.from(bytes)),
);

/** What is not read: armour, passphrases (scrypt), post-quantum keys (hybrid). */
function isRefused({ fields }: Vector): boolean {
  const { armored, passphrase, identity = '' } = fields;
  return armored === 'yes' || passphrase !== undefined || identity.startsWith('AGE-SECRET-KEY-PQ-');
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Their chunks can be opened one by one, but one is not where it says it is: that one is not given. */
const HELD_BACK: ReadonlySet<string> = new Set([
  'stream_no_final_full',
  'stream_no_final_two_chunks_full',
  'stream_trailing_garbage_long',
  'stream_trailing_garbage_short',
  'stream_two_final_chunks',
  'stream_two_final_chunks_full',
  'stream_two_final_chunks_second',
]);

/** What the payload of a file gives before it fails. */
function givenOf(file: Buffer, fileKey: string): Buffer {
  const nonceAt = file.indexOf('\n', file.indexOf('\n--- ') + 1) + 1;
  const nonce = file.subarray(nonceAt, nonceAt + NONCE_BYTES);
  const payload = openPayload(Buffer.from(fileKey, 'hex'), nonce);
  const given: Buffer[] = [];
  try {
    for (const plain of payload.push(file.subarray(nonceAt + NONCE_BYTES))) {
      given.push(plain);
    }
    given.push(...payload.end());
  } catch {
    return Buffer.concat(given);
  }
  return expect.fail('it does not fail');
}

const NOTHING = digest(Buffer.alloc(0));

describe('the published vectors', () => {
  const read = VECTORS.filter((vector) => !isRefused(vector));
  const refused = VECTORS.filter((vector) => isRefused(vector));

  test('are all there', () => {
    const counts = Object.groupBy(read, ({ expected }) => expected);
    expect(Object.entries(counts).map(([expected, of]) => [expected, of?.length])).toEqual(
      expect.arrayContaining([
        ['success', 14],
        ['no match', 3],
        ['HMAC failure', 1],
        ['payload failure', 18],
      ]),
    );
    expect(read.length + refused.length).toBe(143);
  });

  const failures: Readonly<Record<string, RegExp>> = {
    'no match': /^none of the keys it was made for|of kinds that backupd does not read: x25519$/,
    'HMAC failure': /^the header of its encryption is damaged: .*HMAC/,
    'header failure': /header/,
    'payload failure': /encrypted data|empty chunk/,
  };

  test.each(read)('$name: $expected', async ({ name, expected, fields, file }) => {
    const identity = fields['identity'] ?? OTHER.identity;
    const { bytes, error } = await decrypt([file], [identity]);
    if (expected === 'payload failure') {
      // What was right but not yet taken is dropped when the stream fails.
      expect(bytes.length % CHUNK_BYTES).toBe(0);
      expect(digest(givenOf(file, fields['file key'] ?? '')) === fields['payload']).toBe(
        !HELD_BACK.has(name),
      );
    } else {
      expect(digest(bytes)).toBe(fields['payload'] ?? NOTHING);
    }
    if (expected === 'success') {
      expect(error).toBeNull();
    } else {
      expect(error).toMatchObject({ message: matching(failures[expected] ?? /^$/) });
      expect(['archive-corrupt', 'format-unsupported']).toContain((error as { code: string }).code);
    }
  });

  test.each(refused)('$name is refused', async ({ fields, file }) => {
    const { bytes, error } = await decrypt([file]);
    expect(bytes.length).toBe(0);
    expect(error).toMatchObject({
      code: matching(
        fields['armored'] === 'yes'
          ? /^archive-corrupt$/
          : /^archive-corrupt$|^format-unsupported$/,
      ),
    });
  });

  test.each([
    ['scrypt', 'scrypt'],
    ['hybrid', 'mlkem768x25519'],
  ])('%s is refused by its name', async (name, kind) => {
    const vector = VECTORS.find((each) => each.name === name);
    expect((await decrypt([vector?.file ?? Buffer.alloc(0)])).error).toMatchObject({
      code: 'format-unsupported',
      message: matching(new RegExp(`: ${kind}$`)),
    });
  });
});
