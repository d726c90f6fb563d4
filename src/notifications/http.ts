import type { IncomingMessage } from 'node:http';
import { rootCertificates } from 'node:tls';
import { NotDelivered } from '../core/channel.ts';
import { redact } from './redact.ts';

// Not imported: see docker/connect.ts.
const http = process.getBuiltinModule('node:http');
const https = process.getBuiltinModule('node:https');

export interface Post {
  /** Kept out of every error but for its host. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Trusted besides the usual ones, PEM; null: none. */
  readonly ca: string | null;
  /** Who has not answered by then will not. */
  readonly answerWithinMs: number;
  /** What must not be in an error either. */
  readonly secrets: readonly string[];
}

/** More of an answer is not read. */
const LONGEST_ANSWER_BYTES = 4096;

/**
 * Posts a text; resolves when the answer is that it was taken (2xx). Redirections are not followed: what is sent is for
 * whoever was named.
 * @throws NotDelivered
 */
export async function post(request: Post, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.timeout(request.answerWithinMs);
  const { host } = new URL(request.url);
  const secrets = [...secretParts(request.url), ...request.secrets];
  let answer: { readonly response: IncomingMessage; readonly text: string };
  try {
    answer = await exchange(request, AbortSignal.any([signal, limit]));
  } catch (error) {
    signal.throwIfAborted();
    const why = limit.aborted
      ? `no answer within ${request.answerWithinMs / 1000} s`
      : error instanceof Error
        ? redact(error.message, secrets)
        : 'it could not be asked';
    throw new NotDelivered(`${host}: ${why}`, { cause: error });
  }
  const { response, text } = answer;
  const { statusCode = 0 } = response;
  if (statusCode < 200 || statusCode > 299) {
    const said = redact(text, secrets);
    throw new NotDelivered(`${host} answered ${statusCode}${said === '' ? '' : `: ${said}`}`, {
      retryAfterMs: retryAfterMs(response.headers['retry-after']),
      isRefused: statusCode >= 400 && statusCode < 500 && !LATER.has(statusCode),
    });
  }
}

/** Answers that say nothing of a message but that it came too slowly, too early or too often. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429]);

/** What of an address nobody is to see: all but its host. */
function secretParts(address: string): readonly string[] {
  const { pathname, search, searchParams, username, password } = new URL(address);
  const parts = [...pathname.split('/'), ...searchParams.values(), username, password];
  return [address, pathname, search, ...parts, ...parts.map((part) => safelyDecoded(part))];
}

function safelyDecoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // It is no encoding then, but meant as it is.
    return part;
  }
}

async function exchange(
  { url, headers, body, ca }: Post,
  signal: AbortSignal,
): Promise<{ readonly response: IncomingMessage; readonly text: string }> {
  const { request } = url.startsWith('https:') ? https : http;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body), 'user-agent': 'backupd' },
        signal,
        // A connection of its own: the next message is hours away.
        agent: false,
        ...(ca === null ? {} : { ca: [...rootCertificates, ca] }),
      },
      resolve,
    );
    sent.on('error', reject);
    sent.end(body);
  });
  let text = '';
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > LONGEST_ANSWER_BYTES) {
      break;
    }
  }
  return { response, text };
}

/** Seconds, or a date; null where there is none. */
function retryAfterMs(header: string | undefined): number | null {
  if (header === undefined) {
    return null;
  }
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}
