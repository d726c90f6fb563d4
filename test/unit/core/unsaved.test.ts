import { describe, expect, test } from 'vitest';
import type { ContainerListing } from '../../../src/core/discovery.ts';
import type { TargetSpec } from '../../../src/core/job.ts';
import { findUnsaved, type Around } from '../../../src/core/unsaved.ts';
import { engineOfImage } from '../../../src/sources/detect.ts';
import { sampleJob } from '../../support/storage.ts';

/** A container of the project "shop", its service named as itself. */
function container(
  name: string,
  change: Partial<ContainerListing> & { readonly volumes?: readonly string[] } = {},
): ContainerListing {
  const { volumes = [], labels = {}, ...rest } = change;
  return {
    id: `id of ${name}`,
    name: `shop-${name}-1`,
    image: 'nginx:1',
    state: 'running',
    mounts: volumes.map((volume) => ({ volume, composeName: null, destination: '/data' })),
    ...rest,
    labels: { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': name, ...labels },
  };
}

function unsaved(
  containers: readonly ContainerListing[],
  targets: readonly TargetSpec[] = [],
  change: Partial<Around> = {},
): ReturnType<typeof findUnsaved> {
  const jobs = targets.map((target) => ({ ...sampleJob(), target }));
  return findUnsaved(jobs, {
    containers,
    project: 'shop',
    ownId: 'id of backupd',
    discover: 'project',
    engineOf: engineOfImage,
    ...change,
  });
}

describe('databases', () => {
  const MYSQL = container('mysql', { image: 'mysql:9', volumes: ['shop_mysql'] });

  test('are told where nothing backs them up', () => {
    expect(unsaved([MYSQL])).toEqual({
      databases: [{ container: 'shop-mysql-1', engine: 'mysql' }],
      volumes: [],
    });
  });

  test.each<[string, ContainerListing]>([
    ['one that is labelled', { ...MYSQL, labels: { ...MYSQL.labels, 'backupd.enable': 'false' } }],
    ['one that does not run', { ...MYSQL, state: 'exited' }],
    ['what only works with one', container('exporter', { image: 'prom/mysqld-exporter:1' })],
    ['another project', container('x', { image: 'mysql:9', labels: OTHER_PROJECT })],
  ])('%s is not', (_, listing) => {
    expect(unsaved([listing]).databases).toEqual([]);
  });

  test('a source is not, whichever way it is named', () => {
    for (const target of [
      { by: 'name', container: 'mysql' },
      { by: 'name', container: 'shop-mysql-1' },
      { by: 'discovery', containerId: 'id of mysql', container: 'shop-mysql-1' },
    ] as const) {
      expect(unsaved([MYSQL], [target])).toEqual({ databases: [], volumes: [] });
    }
  });

  test('of other projects are told where it looks at the host', () => {
    const other = container('x', { image: 'mongo:8', labels: OTHER_PROJECT });
    expect(unsaved([other], [], { discover: 'host' }).databases).toHaveLength(1);
    expect(unsaved([other], [], { project: null })).toEqual({ databases: [], volumes: [] });
  });
});

const OTHER_PROJECT = { 'com.docker.compose.project': 'other' };

describe('volumes', () => {
  test('with names are told, with all that use them', () => {
    const anonymous = 'a'.repeat(64);
    const containers = [
      container('app', { volumes: ['shop_uploads', '/srv/files', anonymous] }),
      container('web', { volumes: ['shop_uploads'] }),
      container('backupd', { volumes: ['shop_backups'] }),
    ];
    expect(unsaved(containers).volumes).toEqual([
      { volume: 'shop_uploads', containers: ['shop-app-1', 'shop-web-1'] },
    ]);
  });

  test('that are sources, or of databases that are, are not', () => {
    const containers = [
      container('app', { volumes: ['shop_uploads', 'shop_db'] }),
      container('db', { image: 'postgres:17', volumes: ['shop_db'] }),
    ];
    const targets: readonly TargetSpec[] = [
      { by: 'volume', volume: 'shop_uploads', labelled: null },
      { by: 'name', container: 'db' },
    ];
    expect(unsaved(containers, targets).volumes).toEqual([]);
  });
});
