/**
 * Uploads one file to a bucket, as a process that can be killed: `node upload-process.ts ENDPOINT BUCKET KEY FILE JOURNAL`,
 * FILE and JOURNAL being paths. Its journal is a file, so that the next one finds it.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { argv } from 'node:process';
import type { UploadState } from '../../src/core/destination.ts';
import { bucketDestination } from '../../src/destinations/s3/s3.ts';
import { readJson, removeFile, writeJson } from '../../src/store/atomic-file.ts';
import { bucketSettings } from './s3-server.ts';
import { CALM } from './uploads.ts';

const [, , endpoint = '', bucket = '', key = '', path = '', journal = ''] = argv;
const settings = bucketSettings({ endpoint, bucket });
const content = await readFile(path);
const file = {
  path,
  bytes: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
};

const { sentBytes } = await bucketDestination(settings, settings.place).putFile(
  key,
  file,
  {
    journal: {
      async read() {
        const stored = await readJson(journal);
        return stored.state === 'present' ? (stored.value as UploadState) : null;
      },
      write: async (state) => writeJson(journal, state),
      clear: async () => removeFile(journal),
    },
    wrongEtag: null,
    onProgress: () => {},
  },
  CALM,
);
console.log(sentBytes);
