import { describe, expect, it } from 'vitest';
import type { MountListing } from '../../../src/core/discovery.ts';
import { brief, container, findJobs } from './find-jobs.ts';
import { containing } from './matchers.ts';

const UPLOADS: MountListing = {
  volume: 'shop_uploads',
  composeName: 'uploads',
  destination: '/srv/uploads',
};
const OWN_NAME: MountListing = { volume: 'Photos', composeName: 'pics', destination: '/pics' };
const NAMELESS: MountListing = {
  volume: 'ab'.repeat(32),
  composeName: null,
  destination: '/var/Cache',
};
const HOST: MountListing = { volume: '/srv/data', composeName: null, destination: '/data' };

function app(
  labels: Readonly<Record<string, string>>,
  more: Parameters<typeof container>[1] = {},
): ReturnType<typeof container> {
  const mounts = [UPLOADS, OWN_NAME, NAMELESS, HOST];
  return container(labels, { service: 'app', image: 'nginx', mounts, ...more });
}

describe('volumes by labels', () => {
  it('are sources of their own, named after themselves, with what their container says of backups', async () => {
    const labels = {
      volumes: 'uploads, /data',
      'volumes.exclude': '*.tmp, /cache',
      keep: 'all',
      stop: 'app',
      before: 'flush',
    };
    const { jobs, problems } = await findJobs({ containers: [app(labels)] });
    expect(problems).toEqual([]);
    const labelled = { containerId: 'id of shop-app-1', container: 'shop-app-1' };
    expect(jobs).toMatchObject([
      {
        source: 'uploads',
        target: { by: 'volume', volume: 'shop_uploads', labelled },
        exclude: ['*.tmp', '/cache'],
        keep: { all: true },
        stop: ['app'],
        before: 'flush',
        databases: null,
      },
      { source: 'app-data', target: { by: 'volume', volume: '/srv/data', labelled } },
    ]);
  });

  it('are drilled as the labels of their container say; a statement is for its database', async () => {
    const drills = { volumes: 'uploads', drill: 'off', rpo: '2h', rto: '10m' };
    async function drillCheckOf(more: Readonly<Record<string, string>>, image = 'nginx') {
      const { jobs, problems } = await findJobs({
        containers: [app({ ...drills, ...more }, { image })],
      });
      expect(problems).toEqual([]);
      const job = jobs.find(({ source }) => source === 'uploads');
      expect(job).toMatchObject({ drill: { patterns: [] }, rpoMs: 7_200_000, rtoMs: 600_000 });
      return job?.drillCheck;
    }
    expect(await drillCheckOf({ 'drill.check': 'exec: test -s x' })).toBe('exec: test -s x');
    expect(await drillCheckOf({ 'drill.check': 'select 1' })).toBe('select 1');
    const database = { enable: 'true', 'drill.check': 'select 1' };
    expect(await drillCheckOf(database, 'postgres:17')).toBeNull();
  });

  it.each([
    ['the name in the compose file', 'pics', 'pics', 'Photos'],
    ['the name that Docker has for it', 'Photos', 'pics', 'Photos'],
    ['the path at which it is mounted', '/pics/', 'pics', 'Photos'],
    ['the path of one without a name', '/var/Cache', 'app-var-cache', NAMELESS.volume],
  ])('are found by %s', async (_how, wanted, source, volume) => {
    const { jobs, problems } = await findJobs({ containers: [app({ volumes: wanted })] });
    expect(problems).toEqual([]);
    expect(jobs).toMatchObject([{ source, target: { volume } }]);
  });

  it('have names that begin with their project where all of the host is looked at', async () => {
    const { jobs } = await findJobs({
      environment: { BACKUPD_DISCOVER: 'host' },
      containers: [app({ volumes: 'uploads' })],
    });
    expect(jobs).toMatchObject([{ source: 'shop-uploads' }]);
  });

  it('of a container with a database are beside that', async () => {
    const labels = { enable: 'true', volumes: 'uploads' };
    const { jobs } = await findJobs({ containers: [app(labels, { image: 'postgres:17' })] });
    expect(jobs.map(({ source }) => source)).toEqual(['app', 'uploads']);
  });

  it('need no database, and no second label', async () => {
    for (const labels of [{ volumes: 'uploads' }, { volumes: 'uploads', enable: 'true' }]) {
      const { jobs, problems } = await findJobs({ containers: [app(labels)] });
      expect(problems).toEqual([]);
      expect(jobs.map(({ source }) => source)).toEqual(['uploads']);
    }
    const off = app({ volumes: 'uploads', enable: 'false' });
    expect(await findJobs({ containers: [off] })).toMatchObject({ jobs: [], problems: [] });
  });

  it('that several containers name are one source, of the one that runs', async () => {
    const old = app({ volumes: 'uploads' }, { name: 'old', state: 'exited' });
    const { jobs, problems } = await findJobs({ containers: [old, app({ volumes: 'uploads' })] });
    expect(problems).toEqual([]);
    expect(jobs).toMatchObject([{ target: { labelled: { container: 'shop-app-1' } } }]);
  });

  it('that are not there are problems, which name those that are', async () => {
    const { jobs, problems } = await findJobs({ containers: [app({ volumes: 'upload,pics' })] });
    expect(brief(problems)).toEqual(['source upload: backupd.volumes on container "shop-app-1"']);
    expect(problems[0]).toMatchObject({
      message: 'container "shop-app-1" has no volume "upload"',
      hint: containing('uploads (at /srv/uploads), pics (at /pics)'),
    });
    expect(jobs.map(({ source }) => source)).toEqual(['pics']);
  });

  it('have the options of variables by their own names', async () => {
    const { jobs } = await findJobs({
      environment: {
        BACKUPD_SOURCES: 'etc=volume:///srv/etc/ plain=volume://plain_data',
        BACKUPD_SOURCE_ETC_EXCLUDE: '*.log',
      },
    });
    expect(jobs).toMatchObject([
      { source: 'etc', target: { by: 'volume', volume: '/srv/etc' }, exclude: ['*.log'] },
      { source: 'plain', target: { by: 'volume', volume: 'plain_data', labelled: null } },
    ]);
  });

  it('are entries of the file', async () => {
    const { jobs, problems } = await findJobs({
      file: 'sources: { data: { volume: shop_data, exclude: [cache, /tmp] } }',
    });
    expect(problems).toEqual([]);
    expect(jobs).toMatchObject([
      { source: 'data', target: { volume: 'shop_data' }, exclude: ['cache', '/tmp'] },
    ]);
  });
});
