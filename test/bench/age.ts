import { Decrypter, Encrypter } from 'age-encryption';
import { randomBytes } from 'node:crypto';
import { Readable, Writable, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { secret } from '../../src/core/secret.ts';
import { openAgeEncrypter, openAgeIdentities } from '../../src/encryption/age.ts';
import type { AgeKey } from '../support/keys.ts';
import { fight } from './fight.ts';
import type { Measured } from './findings.ts';
import type { Contender, Course } from './rounds.ts';

const PIECE_BYTES = 64 * 1024;
const AT_MOST = 0.2;

/** The payload of files of age, against the library that our headers are from. */
export async function measureAge(
  course: Course,
  { identity, recipient }: AgeKey,
): Promise<Measured> {
  const pieces = Math.round((256 * 1024 * 1024 * course.scales.large) / PIECE_BYTES);
  const piece = randomBytes(PIECE_BYTES);
  const plain = Array.from({ length: pieces }, () => piece);
  await using encrypter = await openAgeEncrypter([recipient]);
  await using keys = await openAgeIdentities(secret([identity]));
  const sealed: Buffer[] = [];
  await pass(plain, encrypter.encrypt(), (bytes) => sealed.push(bytes));

  const encrypting: readonly Contender[] = [
    { name: 'backupd', run: () => seconds(() => pass(plain, encrypter.encrypt())) },
    {
      name: LIBRARY,
      run: () =>
        seconds(async () => {
          const library = new Encrypter();
          library.addRecipient(recipient);
          await drain(await library.encrypt(webStream(plain)));
        }),
    },
  ];
  const decrypting: readonly Contender[] = [
    { name: 'backupd', run: () => seconds(() => pass(sealed, keys.decrypt())) },
    {
      name: LIBRARY,
      run: () =>
        seconds(async () => {
          const library = new Decrypter();
          library.addIdentity(identity);
          await drain(await library.decrypt(webStream(sealed)));
        }),
    },
  ];
  const limits = [AT_MOST];
  return {
    findings: [
      ...(await fight(encrypting, { work: 'age: encryption', limits }, course)),
      ...(await fight(decrypting, { work: 'age: decryption', limits }, course)),
    ],
    notes: [
      `- age by itself: ${(pieces * PIECE_BYTES) / 1024 / 1024} MiB through a stream in one process, nothing read or written.`,
    ],
  };
}

const LIBRARY = 'age-encryption (JavaScript)';

async function seconds(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

async function pass(
  bytes: Iterable<Buffer>,
  stages: readonly Duplex[],
  take: (bytes: Buffer) => void = () => undefined,
): Promise<void> {
  const sink = new Writable({
    write(piece: Buffer, _encoding, done) {
      take(piece);
      done();
    },
  });
  await pipeline([Readable.from(bytes), ...stages, sink]);
}

function webStream(bytes: Iterable<Buffer>): ReadableStream<Uint8Array> {
  return Readable.toWeb(Readable.from(bytes)) as ReadableStream<Uint8Array>;
}

async function drain(stream: ReadableStream<Uint8Array>): Promise<void> {
  for await (const _ of stream) {
    // What it is does not matter.
  }
}
