import { expect, test } from 'vitest';
import { NOTHING_SEEN } from '../../../src/daemon/look.ts';
import { daemonRoutes } from '../../../src/daemon/routes.ts';
import { metrics } from '../../../src/listeners/metrics.ts';
import { sampleApp } from '../../support/app.ts';
import { emptyCatalog } from '../../support/storage.ts';

test.each([
  [64 * 1024, 200, 'ok\n'],
  [64 * 1024 - 1, 503, 'is full: 65535 bytes are free'],
])('with %i bytes free /readyz is %i', async (freeBytes, status, body) => {
  await using fixture = await emptyCatalog();
  const app = sampleApp(fixture);
  const storage = {
    ...app.context.storage,
    space: () => Promise.resolve({ freeBytes, sizeBytes: 1e9 }),
  };
  const answering = {
    ...app,
    context: { ...app.context, storage },
    ping: () => Promise.resolve({ engineVersion: '28' }),
  };
  const routes = daemonRoutes(answering, metrics('0.0.0'), () => ({
    seen: NOTHING_SEEN,
    ownName: 'backupd',
  }));
  expect(await routes['/readyz']?.()).toMatchObject({
    status,
    body: expect.stringContaining(body) as string,
  });
});
