import {
  IncomingMessage,
  request as httpRequest,
  type ClientRequest,
  type OutgoingHttpHeaders,
  type RequestOptions,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/** One request to Docker's API. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST';
  /** With its query; parts that come from elsewhere are encoded. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/**
 * Docker's API at one place. Both calls fail with an `ApiRefusal` where Docker answered that it will not, and with Node's
 * own error where there was no whole answer.
 */
export interface Docker {
  /** Where it is looked for: the path of a socket, or host and port. */
  readonly endpoint: string;
  /** The answer, read: JSON, or else its text. */
  ask(request: ApiRequest, signal: AbortSignal): Promise<unknown>;
  /** The raw connection, which is the caller's; null where the other side did not hand it over. */
  upgrade(request: ApiRequest, signal: AbortSignal): Promise<Socket | null>;
}

/** Docker answered with an HTTP status that is a refusal. */
export class ApiRefusal extends Error {
  override readonly name = 'ApiRefusal';
  readonly statusCode: number;

  constructor(statusCode: number, said: string) {
    super(said);
    this.statusCode = statusCode;
  }
}

/** Where Docker listens, as Node's HTTP client takes it. */
export interface Place extends Pick<RequestOptions, 'socketPath' | 'host' | 'port'> {
  readonly endpoint: string;
  /** PEM; null: without TLS. */
  readonly tls: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer } | null;
}

const UPGRADE = { connection: 'Upgrade', upgrade: 'tcp' };
const FIRST_REFUSAL = 400;

/**
 * A client of the API. Opens no connection before it is asked, and keeps none for a next call: one that the other side
 * closes in that moment would fail it, and a new one costs nothing.
 */
export function dockerApi({ endpoint, tls, ...place }: Place): Docker {
  function open(
    { method, path, body }: ApiRequest,
    headers: OutgoingHttpHeaders,
    signal: AbortSignal,
  ): ClientRequest {
    const json = body === undefined ? '' : JSON.stringify(body);
    const options = {
      ...place,
      ...tls,
      method,
      path,
      signal,
      agent: false,
      headers: {
        'content-length': Buffer.byteLength(json),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    } as const;
    const outgoing = tls === null ? httpRequest(options) : httpsRequest(options);
    outgoing.end(json);
    return outgoing;
  }

  return {
    endpoint,
    async ask(request, signal) {
      return read(await answerTo(open(request, {}, signal)));
    },
    async upgrade(request, signal) {
      const outgoing = open(request, UPGRADE, signal);
      const answer = await Promise.race([connectionOf(outgoing), answerTo(outgoing)]);
      if (answer instanceof IncomingMessage) {
        await refuse(answer);
        answer.destroy();
        return null;
      }
      return answer;
    },
  };
}

/** The request for all that is known of a container, by id or name. */
export function inspection(container: string): ApiRequest {
  return { method: 'GET', path: `/containers/${encodeURIComponent(container)}/json` };
}

async function answerTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve);
    // Not `once`: whatever comes after the first error has no other listener.
    outgoing.on('error', reject);
  });
}

async function connectionOf(outgoing: ClientRequest): Promise<Socket> {
  return new Promise((resolve) => {
    outgoing.once('upgrade', (_answer, connection, head) => {
      // Bytes of the stream that came with the answer.
      if (head.length > 0) {
        connection.unshift(head);
      }
      resolve(connection);
    });
  });
}

async function read(answer: IncomingMessage): Promise<unknown> {
  await refuse(answer);
  const said = await text(answer);
  return parseJson(said) ?? said;
}

async function refuse(answer: IncomingMessage): Promise<void> {
  const { statusCode = 0 } = answer;
  if (statusCode >= FIRST_REFUSAL) {
    const said = await text(answer);
    const { message } = (parseJson(said) ?? {}) as { readonly message?: unknown };
    throw new ApiRefusal(statusCode, typeof message === 'string' ? message : said);
  }
}

/** Undefined where it is none. */
function parseJson(said: string): unknown {
  try {
    return JSON.parse(said);
  } catch {
    // A proxy answers in words; whoever asked judges them.
    return undefined;
  }
}
