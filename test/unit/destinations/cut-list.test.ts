import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { secret } from '../../../src/core/secret.ts';
import { bucketDestination } from '../../../src/destinations/s3/s3.ts';
import { bucketSettings } from '../../support/s3-server.ts';

const NEVER = new AbortController().signal;

/** What no store that works answers: that there is more, and not where. */
const ANSWERS: Readonly<Record<string, string>> = {
  'list-type=2': `<ListBucketResult><IsTruncated>true</IsTruncated>
    <Contents><Key>demo/db/a</Key><Size>1</Size><ETag>"1"</ETag></Contents>
    <CommonPrefixes><Prefix>demo/</Prefix></CommonPrefixes></ListBucketResult>`,
  versions: `<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>`,
  uploads: `<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>`,
};

const server = createServer((request, response) => {
  const found = Object.keys(ANSWERS).find((word) => request.url?.includes(word));
  response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0" encoding="UTF-8"?>${ANSWERS[found ?? ''] ?? ''}`);
});

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test('a list that is cut off and does not say where it goes on is an error, and no list', async () => {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = { accessKeyId: 'id', secretAccessKey: secret('secret') };
  const settings = bucketSettings({ bucket: 'shop', endpoint, credentials });
  const destination = bucketDestination(settings, settings.place);
  const cut = {
    code: 'destination-unavailable',
    message: expect.stringContaining('is cut off') as unknown,
  };

  async function read(list: AsyncIterable<unknown>): Promise<void> {
    for await (const _one of list) {
      // To its end.
    }
  }

  await expect(read(destination.list('demo/', NEVER))).rejects.toMatchObject(cut);
  await expect(read(destination.listVersions('demo/', NEVER))).rejects.toMatchObject(cut);
  await expect(read(destination.listUploads('demo/', NEVER))).rejects.toMatchObject(cut);
  await expect(destination.listFolders('', NEVER)).rejects.toMatchObject(cut);
});
