import { expect, test } from 'vitest';
import { BackupdError } from '../../../src/core/errors.ts';
import { adoptFromAny, adoptNamespace } from '../../../src/jobs/adopt-namespace.ts';
import { containing } from '../../support/matchers.ts';
import { memoryDestination, type MemoryDestination } from '../../support/memory-destination.ts';
import { backupId } from '../../support/storage.ts';
import { asConfigured } from '../../support/copies.ts';

const NEVER = new AbortController().signal;

async function withNamespaces(...names: readonly string[]): Promise<MemoryDestination> {
  const destination = memoryDestination();
  for (const name of names) {
    const key = `${name}/db/${backupId(1)}/manifest.json`;
    await destination.put(key, Buffer.from('{}'), { ifAbsent: false }, NEVER);
  }
  return destination;
}

test('the only namespace there is taken over, whatever this project is called', async () => {
  expect(await adoptNamespace(await withNamespaces('shop'), 'other', NEVER)).toBe('shop');
});

test('of several that of this project is; else one is asked for', async () => {
  const destination = await withNamespaces('shop', 'crm');
  expect(await adoptNamespace(destination, 'crm', NEVER)).toBe('crm');
  for (const own of [null, 'other']) {
    await expect(adoptNamespace(destination, own, NEVER)).rejects.toMatchObject({
      code: 'config-invalid',
      message: containing('2 namespaces: crm, shop'),
      hint: containing('BACKUPD_NAMESPACE'),
    });
  }
});

test('an empty bucket makes nothing of the directory', async () => {
  await expect(adoptNamespace(await withNamespaces(), 'shop', NEVER)).rejects.toMatchObject({
    code: 'backup-not-found',
  });
});

test('who looks everywhere takes over that of the first destination that holds any', async () => {
  const down = await withNamespaces('crm');
  down.onRequest = () => {
    throw new BackupdError('destination-unavailable', 'nobody answers');
  };
  const all = [down, await withNamespaces(), await withNamespaces('shop')].map(asConfigured);
  expect(await adoptFromAny(all, null, NEVER)).toBe('shop');
  expect(await adoptFromAny(all.slice(0, 2), null, NEVER)).toBeNull();
  const several = asConfigured(await withNamespaces('shop', 'crm'));
  await expect(adoptFromAny([several], null, NEVER)).rejects.toMatchObject({
    code: 'config-invalid',
  });
});
