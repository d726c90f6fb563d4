import { plainText } from '../core/alarm-text.ts';
import { HIDDEN } from '../core/secret.ts';

/** Shorter texts are no secrets, and would be found everywhere. */
const SHORTEST = 4;
const LONGEST = 200;

/** What somebody else answered, fit to be shown: one short line without these secrets, however they were written. */
export function redact(text: string, secrets: readonly string[]): string {
  const forms = secrets
    .filter((secret) => secret.length >= SHORTEST)
    .flatMap((secret) => [
      secret,
      encodeURIComponent(secret),
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    ])
    .toSorted((one, other) => other.length - one.length);
  let redacted = text;
  for (const form of forms) {
    redacted = redacted.replaceAll(form, HIDDEN);
  }
  return plainText(redacted).slice(0, LONGEST);
}
