import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Destination } from '../../src/core/destination.ts';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import { makeCertificates } from '../support/certificates.ts';
import { bucketSettings, startMinio, type S3Server } from '../support/s3-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/storage.ts';
import { CALM, download, fileOf, MIB, options, PART_BYTES } from '../support/uploads.ts';

let folder: TemporaryFolder;
let server: S3Server;
let authority: string;
let bucket: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  authority = await makeCertificates(folder.dir);
  server = await startMinio({
    tls: { ca: authority },
    volumes: [`${folder.dir}:/certs:ro`],
    args: ['minio', 'server', '--quiet', '--certs-dir', '/certs', '/data'],
  });
  bucket = await server.createBucket();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function open(ca: string | null, endpoint = server.endpoint): Destination {
  const settings = bucketSettings({ bucket, endpoint, ca });
  return bucketDestination(settings, settings.place);
}

test('a store whose authority is one of its own is trusted where that is given', async () => {
  const file = await fileOf(folder.dir, 2 * PART_BYTES + MIB);
  await open(authority).putFile('demo/a', file, options(), CALM);
  expect((await download(open(authority), 'demo/a', PART_BYTES)).equals(file.content)).toBe(true);
});

test('and not without it', async () => {
  await expect(open(null).head('demo/a', null, CALM)).rejects.toMatchObject({
    code: 'destination-unavailable',
    message: expect.stringContaining('is not trusted') as string,
    hint: expect.stringContaining('BACKUPD_S3_CA_FILE') as string,
  });
});

test('a certificate for another name is not trusted', async () => {
  const elsewhere = server.endpoint.replace('127.0.0.1', '127.0.0.2');
  const there = open(authority, elsewhere).head('demo/a', null, CALM);
  await expect(there).rejects.toMatchObject({ code: 'destination-unavailable' });
});
