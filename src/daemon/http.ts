import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { BackupdError } from '../core/errors.ts';

// Not imported: see docker/connect.ts.
const { createServer } = process.getBuiltinModule('node:http');

/** What a path answers. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** What a browser may do with it; default: nothing. */
  readonly policy?: string;
}

/** Answers by path; whatever one throws becomes a 500. */
export type Routes = Readonly<Record<string, () => Promise<Answer>>>;

export interface HttpServer extends AsyncDisposable {
  /** The port it listens on, also where any free one was asked for. */
  readonly port: number;
}

export interface HttpOptions {
  readonly port: number;
  readonly routes: Routes;
  readonly onError: (path: string, error: unknown) => void;
}

/** For what is no page: nothing in it is run or shown within another page. */
const STRICTEST_POLICY = "default-src 'none'; frame-ancestors 'none'";

const SLOWEST_REQUEST_MS = 10_000;

/**
 * Serves the routes, read-only: GET and HEAD, nothing else. Disposing ends every connection.
 * @throws BackupdError `config-invalid` where the port cannot be had
 */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const server = createServer(
    { requestTimeout: SLOWEST_REQUEST_MS, headersTimeout: SLOWEST_REQUEST_MS },
    (request, response) => {
      void respond(request, response, options);
    },
  );
  await listen(server, options.port);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** An answer of plain text. */
export function plainText(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

async function listen(server: Server, port: number): Promise<void> {
  try {
    server.listen(port);
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new BackupdError(
      'config-invalid',
      code === 'EADDRINUSE'
        ? `port ${port} is in use already`
        : `port ${port} cannot be listened on: ${message}`,
      { hint: 'Set BACKUPD_HTTP_PORT to another port, or to off.', cause: error },
    );
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { routes, onError }: HttpOptions,
): Promise<void> {
  const [path = '/'] = (request.url ?? '/').split('?');
  const { status, contentType, body, policy } = await answer(request.method, path, {
    routes,
    onError,
  });
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'content-security-policy': policy ?? STRICTEST_POLICY,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  // Node leaves the body out of an answer to HEAD.
  response.end(body);
}

async function answer(
  method: string | undefined,
  path: string,
  { routes, onError }: Pick<HttpOptions, 'routes' | 'onError'>,
): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') {
    return plainText(405, 'this port only reads: use GET or HEAD');
  }
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) {
    return plainText(404, `nothing is here; there are ${Object.keys(routes).join(', ')}`);
  }
  try {
    return await route();
  } catch (error) {
    onError(path, error);
    return plainText(500, 'it could not be told; the log says why');
  }
}
