import { randomBytes } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { callbackify } from 'node:util';
import {
  Decrypter,
  Encrypter as HeaderMaker,
  identityToRecipient,
  type Stanza,
} from 'age-encryption';
import type { Encrypter } from '../core/encryption.ts';
import { BackupdError, toError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { NONCE_BYTES, openPayload, sealPayload, type Payload } from './age-payload.ts';
import type { SecretKeys } from './secret-keys.ts';

/** What the library writes behind the header of a file that holds nothing: a nonce, and the tag of an empty chunk. */
const EMPTY_PAYLOAD_BYTES = NONCE_BYTES + 16;
/** One recipient takes some hundred bytes of a header; more than this is none. */
const LONGEST_HEADER_BYTES = 1024 * 1024;
/** How the last line of a header begins. */
const LAST_LINE = Buffer.from('\n--- ');
const LINE_END = 0x0a;

/**
 * Encrypts for these recipients (`age1...`), as files of age v1. The header is the library's, the payload ours, since its
 * own one is slower by far.
 * @throws BackupdError `config-invalid` naming the recipient for which nothing can be encrypted
 */
export async function openAgeEncrypter(recipients: readonly string[]): Promise<Encrypter> {
  const keyIds = [...new Set(recipients)];
  for (const recipient of keyIds) {
    await makeHeader([recipient]).catch((error: unknown) => {
      throw new BackupdError(
        'config-invalid',
        `BACKUPD_AGE_RECIPIENTS: nothing can be encrypted for ${recipient}`,
        { cause: error, hint: 'Make a new key with "age-keygen", and name its public key here.' },
      );
    });
  }
  return {
    encryption: { scheme: 'age', keyIds },
    warnings: [],
    encrypt: () => [sealing(keyIds)],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The secrets `AGE-SECRET-KEY-1...`, any of which may open a file. */
export async function openAgeIdentities(
  identities: Secret<readonly string[]>,
): Promise<SecretKeys> {
  const keyIds: string[] = [];
  for (const identity of identities.reveal()) {
    keyIds.push(await identityToRecipient(identity));
  }
  return {
    keyIds,
    unlock: () => Promise.resolve(),
    decrypt: () => [opening(identities)],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

interface Header {
  readonly bytes: Uint8Array;
  readonly fileKey: Uint8Array;
}

async function makeHeader(recipients: readonly string[]): Promise<Header> {
  const maker = new HeaderMaker();
  for (const recipient of recipients) {
    maker.addRecipient(recipient);
  }
  let fileKey = new Uint8Array();
  // Gets the key as every recipient does, and adds nothing to the header.
  maker.addRecipient({
    wrapFileKey(key) {
      fileKey = Uint8Array.from(key);
      return [];
    },
  });
  const file = await maker.encrypt(new Uint8Array());
  return { bytes: file.subarray(0, -EMPTY_PAYLOAD_BYTES), fileKey };
}

function sealing(recipients: readonly string[]): Transform {
  const begin = callbackify(makeHeader);
  let head: Buffer | null = null;
  let payload: Payload;

  function giveHead(stream: Transform): void {
    if (head !== null) {
      stream.push(head);
      head = null;
    }
  }

  return new Transform({
    construct(done) {
      begin(recipients, (error, header) => {
        if (error === null) {
          const nonce = randomBytes(NONCE_BYTES);
          head = Buffer.concat([header.bytes, nonce]);
          payload = sealPayload(header.fileKey, nonce);
        }
        done(error);
      });
    },
    transform(bytes: Buffer, _encoding, done) {
      giveHead(this);
      for (const chunk of payload.push(bytes)) {
        this.push(chunk);
      }
      done();
    },
    flush(done) {
      giveHead(this);
      for (const piece of payload.end()) {
        this.push(piece);
      }
      done();
    },
  });
}

function opening(identities: Secret<readonly string[]>): Transform {
  let collected = Buffer.alloc(0);
  let payload: Payload | null = null;

  /** Takes bytes until header and nonce are there; what is behind them is part of the payload. */
  async function begin(bytes: Buffer): Promise<void> {
    collected = Buffer.concat([collected, bytes]);
    const headerBytes = lengthOfHeader(collected);
    if (headerBytes !== null && collected.length >= headerBytes + NONCE_BYTES) {
      const fileKey = await readHeader(collected.subarray(0, headerBytes), identities);
      payload = openPayload(fileKey, collected.subarray(headerBytes, headerBytes + NONCE_BYTES));
      collected = collected.subarray(headerBytes + NONCE_BYTES);
    } else if (collected.length > LONGEST_HEADER_BYTES) {
      throw new BackupdError('archive-corrupt', 'is no file of age: it has no header');
    }
  }

  function* end(): Generator<Buffer> {
    if (payload === null) {
      throw new BackupdError('archive-corrupt', 'ends before the header of its encryption does');
    }
    yield* payload.end();
  }

  const beginning = callbackify(begin);
  return new Transform({
    transform(bytes: Buffer, _encoding, done) {
      if (payload !== null) {
        // Without a promise for each piece, which would cost a tenth of the speed.
        giveAll(this, payload.push(bytes), done);
        return;
      }
      beginning(bytes, (error) => {
        if (error === null) {
          giveAll(this, payload?.push(collected) ?? [], done);
        } else {
          done(error);
        }
      });
    },
    flush(done) {
      giveAll(this, end(), done);
    },
  });
}

function giveAll(stream: Transform, pieces: Iterable<Buffer>, done: TransformCallback): void {
  try {
    for (const piece of pieces) {
      stream.push(piece);
    }
  } catch (error) {
    done(toError(error));
    return;
  }
  done();
}

/** Null where its end is not there yet. */
function lengthOfHeader(bytes: Buffer): number | null {
  const lastLine = bytes.indexOf(LAST_LINE);
  const end = lastLine === -1 ? -1 : bytes.indexOf(LINE_END, lastLine + 1);
  return end === -1 ? null : end + 1;
}

/** The key of the file. Whoever asks knows by the manifest that one of the identities fits. */
async function readHeader(
  header: Buffer,
  identities: Secret<readonly string[]>,
): Promise<Uint8Array> {
  const reader = new Decrypter();
  for (const identity of identities.reveal()) {
    reader.addIdentity(identity);
  }
  // Asked after the others, so only where none of them fits.
  reader.addIdentity({
    unwrapFileKey(stanzas: Stanza[]) {
      throw noMatch(stanzas);
    },
  });
  try {
    return await reader.decryptHeader(header);
  } catch (error) {
    if (error instanceof BackupdError) {
      throw error;
    }
    const why = error instanceof Error ? error.message : String(error);
    throw new BackupdError('archive-corrupt', `the header of its encryption is damaged: ${why}`, {
      cause: error,
    });
  }
}

function noMatch(stanzas: readonly Stanza[]): BackupdError {
  const kinds = [...new Set(stanzas.map(({ args }) => args[0] ?? ''))];
  if (!kinds.includes('X25519')) {
    const named = kinds.length === 0 ? 'nobody' : kinds.join(', ');
    return new BackupdError(
      'format-unsupported',
      `it is encrypted for recipients of kinds that backupd does not read: ${named}`,
      {
        hint: 'backupd reads what is encrypted for X25519 keys, age1... The stock age may open it.',
      },
    );
  }
  return new BackupdError(
    'archive-corrupt',
    'none of the keys it was made for opens the header of its encryption',
  );
}
