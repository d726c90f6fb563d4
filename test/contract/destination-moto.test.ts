import { openDestination } from '../../src/destinations/open.ts';
import { bucketSettings, startMoto } from '../support/s3-server.ts';
import { testMemory } from '../support/uploads.ts';
import { describeDestination } from './destination-contract.ts';

describeDestination('moto', async () => {
  const server = await startMoto();
  const bucket = await server.createBucket();
  const settings = bucketSettings({ bucket, endpoint: server.endpoint });
  return {
    open: async () => openDestination(settings, { backupsDir: '/backups', memory: testMemory() }),
    what: { listsUploadsByPrefix: true, keepsVersions: false },
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  };
});
