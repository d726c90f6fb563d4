import { openDestination } from '../../src/destinations/open.ts';
import { bucketSettings, startMinio } from '../support/s3-server.ts';
import { testMemory } from '../support/uploads.ts';
import { describeDestination } from './destination-contract.ts';

for (const versioned of [false, true]) {
  describeDestination(versioned ? 'MinIO with versions' : 'MinIO', async () => {
    const server = await startMinio();
    const bucket = await server.createBucket({ versioned });
    const settings = bucketSettings({ bucket, endpoint: server.endpoint });
    return {
      open: async () => openDestination(settings, { backupsDir: '/backups', memory: testMemory() }),
      what: { listsUploadsByPrefix: false, keepsVersions: versioned },
      [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
    };
  });
}
