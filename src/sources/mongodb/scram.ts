import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

/** One login by SCRAM-SHA-256 (RFC 7677), which keeps the password to itself and makes the server prove that it knows it. */
export interface Scram {
  /** What the client says first. */
  readonly first: string;
  /** What it says to the server's first words. @throws ScramError where these make no sense */
  answer(serverFirst: string): string;
  /** @throws ScramError where the server does not know the password */
  check(serverLast: string): void;
}

/** The server did not keep to the protocol. */
export class ScramError extends Error {
  override readonly name = 'ScramError';
}

/** Fewer make guessing cheap: a server that asks for them is none. */
const FEWEST_ITERATIONS = 4096;

export function scramSha256(user: string, password: string): Scram {
  const nonce = randomBytes(24).toString('base64');
  const bare = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  let expected: Buffer = Buffer.alloc(0);
  return {
    first: `n,,${bare}`,
    answer(serverFirst) {
      const { r: serverNonce = '', s: salt = '', i: iterations = '' } = attributes(serverFirst);
      if (!serverNonce.startsWith(nonce) || Number(iterations) < FEWEST_ITERATIONS) {
        throw new ScramError('the server answered something else than it was asked');
      }
      const salted = pbkdf2Sync(
        password.normalize('NFKC'),
        Buffer.from(salt, 'base64'),
        Number(iterations),
        32,
        'sha256',
      );
      const clientKey = hmac(salted, 'Client Key');
      const withoutProof = `c=biws,r=${serverNonce}`;
      const signed = `${bare},${serverFirst},${withoutProof}`;
      const signature = hmac(createHash('sha256').update(clientKey).digest(), signed);
      expected = hmac(hmac(salted, 'Server Key'), signed);
      const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0));
      return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`;
    },
    check(serverLast) {
      const given = Buffer.from(attributes(serverLast)['v'] ?? '', 'base64');
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
        throw new ScramError('the server does not know the password');
      }
    },
  };
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function attributes(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]));
}
