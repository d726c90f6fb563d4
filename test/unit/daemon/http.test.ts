import { describe, expect, test } from 'vitest';
import { plainText, serveHttp, type HttpServer } from '../../../src/daemon/http.ts';

const errors: string[] = [];

async function serve(): Promise<HttpServer> {
  return serveHttp({
    port: 0,
    routes: {
      '/healthz': () => Promise.resolve(plainText(200, 'ok')),
      '/broken': () => Promise.reject(new Error('secret detail')),
    },
    onError: (path, error) => {
      errors.push(`${path}: ${String(error)}`);
    },
  });
}

describe('the port', () => {
  test('answers what it has, also with a query', async () => {
    await using server = await serve();
    for (const path of ['/healthz', '/healthz?x=1']) {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
      expect(response.status).toBe(200);
      expect(await response.text()).toBe('ok\n');
    }
  });

  test('answers HEAD without a body', async () => {
    await using server = await serve();
    const response = await fetch(`http://127.0.0.1:${server.port}/healthz`, { method: 'HEAD' });
    expect(response.headers.get('content-length')).toBe('3');
    expect(await response.text()).toBe('');
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('refuses %s', async (method) => {
    await using server = await serve();
    const response = await fetch(`http://127.0.0.1:${server.port}/healthz`, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
  });

  test.each(['/', '/nothing', '/toString', '/__proto__', '/healthz/', '//healthz'])(
    'has nothing at %s',
    async (path) => {
      await using server = await serve();
      expect((await fetch(`http://127.0.0.1:${server.port}${path}`)).status).toBe(404);
    },
  );

  test('tells the log what went wrong, not the caller', async () => {
    await using server = await serve();
    const response = await fetch(`http://127.0.0.1:${server.port}/broken`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret');
    expect(errors).toEqual(['/broken: Error: secret detail']);
  });

  test('that is taken is an error that says so', async () => {
    await using server = await serve();
    const second = serveHttp({ port: server.port, routes: {}, onError: () => undefined });
    await expect(second).rejects.toMatchObject({
      code: 'config-invalid',
      message: `port ${server.port} is in use already`,
      hint: expect.stringContaining('BACKUPD_HTTP_PORT') as string,
    });
  });

  test('is free again after it was disposed', async () => {
    const first = await serve();
    await fetch(`http://127.0.0.1:${first.port}/healthz`);
    await first[Symbol.asyncDispose]();
    await using second = await serveHttp({
      port: first.port,
      routes: {},
      onError: () => undefined,
    });
    expect(second.port).toBe(first.port);
  });
});
