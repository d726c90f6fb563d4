import { expect, test } from 'vitest';
import type { ContainerMount } from '../../../src/docker/containers.ts';
import { whyPerishable } from '../../../src/docker/own-storage.ts';

function mount(destination: string, change: Partial<ContainerMount> = {}): ContainerMount {
  return { type: 'volume', name: 'shop_backups', source: '', destination, ...change };
}

const anonymous = { name: '0f'.repeat(32) };

test.each<[string, readonly ContainerMount[], RegExp | null]>([
  ['a volume with a name', [mount('/srv/backups')], null],
  ['a directory of the host', [mount('/srv/backups', { type: 'bind', name: null })], null],
  ['a folder inside of a mount', [mount('/srv')], null],
  ['a volume without a name', [mount('/srv/backups', anonymous)], /volume without a name/],
  ['the innermost mount', [mount('/srv', anonymous), mount('/srv/backups')], null],
  ['memory', [mount('/srv/backups', { type: 'tmpfs', name: null })], /in memory/],
  ['no mount at all', [mount('/srv/back')], /inside backupd's own container/],
])('%s', (_name, mounts, why) => {
  const said = whyPerishable('/srv/backups', mounts);
  if (why === null) {
    expect(said).toBe(null);
  } else {
    expect(said).toMatch(why);
  }
});
