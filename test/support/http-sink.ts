import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** What was posted. */
export interface Posted {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** How it is answered; `hang`: not at all. */
export type SinkAnswer =
  | 'hang'
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    };

/** A server that takes whatever is posted to it, and answers as it is told. */
export interface HttpSink extends AsyncDisposable {
  /** `http://127.0.0.1:1234` */
  readonly url: string;
  readonly posted: Posted[];
  /** Of what comes from now on. */
  answer(answer: SinkAnswer | ((posted: Posted) => SinkAnswer)): void;
}

export interface SinkOptions {
  /** With TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Default: this host alone. */
  readonly host?: string;
}

export async function httpSink({ tls, host = '127.0.0.1' }: SinkOptions = {}): Promise<HttpSink> {
  const posted: Posted[] = [];
  let how: SinkAnswer | ((posted: Posted) => SinkAnswer) = { status: 200, body: 'ok' };

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const post = { method, path: url, headers, body: await text(request) };
    posted.push(post);
    const answer = typeof how === 'function' ? how(post) : how;
    if (answer !== 'hang') {
      response.writeHead(answer.status, answer.headers);
      response.end(answer.body);
    }
  }

  function listener(request: IncomingMessage, response: ServerResponse): void {
    void take(request, response);
  }

  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    posted,
    answer(answer) {
      how = answer;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
