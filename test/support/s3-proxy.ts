import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as sendRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export type Operation =
  | 'AbortMultipartUpload'
  | 'CompleteMultipartUpload'
  | 'CreateMultipartUpload'
  | 'DeleteObject'
  | 'GetBucket'
  | 'GetObject'
  | 'HeadBucket'
  | 'HeadObject'
  | 'ListObjectsV2'
  | 'ListParts'
  | 'PutObject'
  | 'UploadPart';

/** What happens to a request: an answer of the proxy's own, or what becomes of the bytes. */
export type Fault =
  | { readonly status: number; readonly code: string; readonly message?: string }
  /** The connection ends within the body, or before an answer. */
  | 'reset'
  /** Nothing goes on, and nothing ends. */
  | 'stall'
  /** Goes on when all is calm. */
  | 'hold'
  /** The store does it, and its answer is lost. */
  | 'lose'
  /** The answer ends within its body. */
  | 'cut'
  /** One byte of the body, there or back, is another. */
  | 'alter';

/** A request as the proxy saw it. */
export interface SeenRequest {
  readonly operation: Operation;
  /** With the bucket; decoded. */
  readonly path: string;
  readonly part: number | null;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** How many of its kind were on their way when it came. */
  readonly beside: number;
  /** Of its body, so far. */
  bytes: number;
}

/** Stands before a store, and does what a bad network or store would. */
export interface S3Proxy extends AsyncDisposable {
  readonly endpoint: string;
  /** All requests so far. */
  readonly seen: readonly SeenRequest[];
  /** Disturbs the next requests of this kind, so many times; without `part` of any part. */
  disturb(
    which: { readonly operation: Operation; readonly part?: number },
    fault: Fault,
    times?: number,
  ): void;
  /** Ends all that was disturbing. */
  calm(): void;
  /** Sets the clock in answers. */
  setClockAhead(ms: number): void;
  /** Bytes of bodies of these requests. */
  bytesOf(operation: Operation): number;
  forget(): void;
}

interface Disturbance {
  readonly operation: Operation;
  readonly part: number | null;
  readonly fault: Fault;
  left: number;
}

export async function s3Proxy(upstream: string): Promise<S3Proxy> {
  const { hostname, port } = new URL(upstream);
  const agent = new Agent({ keepAlive: true });
  const seen: SeenRequest[] = [];
  const onTheirWay = new Map<Operation, number>();
  let disturbances: Disturbance[] = [];
  let clockAheadMs = 0;
  let calmed = Promise.withResolvers<void>();

  function takeFault({ operation, part }: SeenRequest): Fault | null {
    const found = disturbances.find(
      (one) =>
        one.left > 0 && one.operation === operation && (one.part === null || one.part === part),
    );
    if (found === undefined) {
      return null;
    }
    found.left -= 1;
    return found.fault;
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const about = describe(request, onTheirWay);
    seen.push(about);
    onTheirWay.set(about.operation, about.beside + 1);
    response.once('close', () => {
      onTheirWay.set(about.operation, (onTheirWay.get(about.operation) ?? 1) - 1);
    });
    request.on('data', (bytes: Buffer) => {
      about.bytes += bytes.length;
    });
    request.pause();
    const fault = takeFault(about);
    if (typeof fault === 'object' && fault !== null) {
      await drain(request);
      refuse(request, response, fault);
    } else if (fault === 'stall') {
      // Never read on, never answered; the other side gives up.
    } else if (fault === 'reset') {
      if (Number(request.headers['content-length'] ?? 0) > 0) {
        request.resume();
        await once(request, 'data');
      }
      request.socket.resetAndDestroy();
    } else if (fault === 'hold') {
      await calmed.promise;
      await forward(request, response, null);
    } else {
      await forward(request, response, fault);
    }
  }

  async function forward(
    request: IncomingMessage,
    response: ServerResponse,
    fault: 'lose' | 'cut' | 'alter' | null,
  ): Promise<void> {
    const isUpload = Number(request.headers['content-length'] ?? 0) > 0;
    const out = sendRequest({
      hostname,
      port,
      agent,
      method: request.method,
      path: request.url,
      headers: request.headers,
    });
    const answered = once(out, 'response') as Promise<[IncomingMessage]>;
    answered.catch(() => undefined);
    await pipeline([request, ...(fault === 'alter' && isUpload ? [altering()] : []), out]);
    const [answer] = await answered;
    if (fault === 'lose') {
      await drain(answer);
      request.socket.resetAndDestroy();
      return;
    }
    const headers = { ...answer.headers };
    if (clockAheadMs !== 0) {
      headers.date = new Date(Date.now() + clockAheadMs).toUTCString();
    }
    response.writeHead(answer.statusCode ?? 502, headers);
    if (fault === 'cut') {
      const [first] = (await once(answer, 'data')) as [Buffer];
      response.write(first.subarray(0, Math.ceil(first.length / 2)), () =>
        request.socket.destroy(),
      );
      answer.destroy();
      return;
    }
    await pipeline([answer, ...(fault === 'alter' && !isUpload ? [altering()] : []), response]);
  }

  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    disturb({ operation, part = null as unknown as number }, fault, times = Infinity) {
      disturbances.push({ operation, part: part ?? null, fault, left: times });
    },
    calm() {
      disturbances = [];
      clockAheadMs = 0;
      calmed.resolve();
      calmed = Promise.withResolvers();
    },
    setClockAhead(ms) {
      clockAheadMs = ms;
    },
    bytesOf: (operation) =>
      seen.filter((one) => one.operation === operation).reduce((sum, { bytes }) => sum + bytes, 0),
    forget() {
      seen.length = 0;
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function describe(
  request: IncomingMessage,
  onTheirWay: ReadonlyMap<Operation, number>,
): SeenRequest {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://store');
  const part = searchParams.get('partNumber');
  const operation = operationOf(request.method ?? 'GET', pathname, searchParams);
  return {
    operation,
    beside: onTheirWay.get(operation) ?? 0,
    path: decodeURIComponent(pathname).slice(1),
    part: part === null ? null : Number(part),
    headers: request.headers as Record<string, string | undefined>,
    bytes: 0,
  };
}

function operationOf(method: string, path: string, query: URLSearchParams): Operation {
  const isBucket = !/^\/[^/]+\/./.test(path);
  const isOfUpload = query.has('uploadId');
  switch (method) {
    case 'HEAD':
      return isBucket ? 'HeadBucket' : 'HeadObject';
    case 'PUT':
      return isOfUpload ? 'UploadPart' : 'PutObject';
    case 'POST':
      return isOfUpload ? 'CompleteMultipartUpload' : 'CreateMultipartUpload';
    case 'DELETE':
      return isOfUpload ? 'AbortMultipartUpload' : 'DeleteObject';
    default:
      if (isBucket) {
        return query.has('list-type') ? 'ListObjectsV2' : 'GetBucket';
      }
      return isOfUpload ? 'ListParts' : 'GetObject';
  }
}

async function drain(message: IncomingMessage): Promise<void> {
  if (!message.readableEnded) {
    message.resume();
    await once(message, 'end');
  }
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { status, code, message = 'said by the proxy' }: Exclude<Fault, string>,
): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  response.writeHead(status, {
    'content-type': 'application/xml',
    'content-length': Buffer.byteLength(body),
  });
  response.end(request.method === 'HEAD' ? '' : body);
}

/** Changes the lowest bit of the last byte of the first piece. */
function altering(): Transform {
  let isDone = false;
  return new Transform({
    transform(piece: Buffer, _encoding, tell) {
      if (isDone) {
        tell(null, piece);
        return;
      }
      isDone = true;
      const other = Buffer.from(piece);
      const last = other.length - 1;
      other[last] = (other[last] ?? 0) ^ 1;
      tell(null, other);
    },
  });
}
