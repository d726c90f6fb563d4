/** Uploads a file as the library does that its authors recommend, by its defaults: `node lib-storage.ts BUCKET KEY FILE`. */
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { createReadStream } from 'node:fs';
import { argv } from 'node:process';

const [, , Bucket = '', Key = '', path = ''] = argv;
// All else is in the environment.
const client = new S3Client({ forcePathStyle: true });
await new Upload({ client, params: { Bucket, Key, Body: createReadStream(path) } }).done();
