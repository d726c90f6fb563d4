import { describe, expect, it } from 'vitest';
import { brief, container, findJobs, findNames } from './find-jobs.ts';

describe('sources without labels', () => {
  it('reads BACKUPD_SOURCES', async () => {
    const { jobs, problems } = await findJobs({
      environment: { BACKUPD_SOURCES: 'orders=postgres://orders-db/shop,a%2Cb wiki=postgres://w' },
    });
    expect(problems).toEqual([]);
    expect(jobs).toMatchObject([
      {
        source: 'orders',
        engine: 'postgres',
        target: { by: 'name', container: 'orders-db' },
        databases: ['shop', 'a,b'],
      },
      { source: 'wiki', target: { by: 'name', container: 'w' }, databases: null },
    ]);
  });

  it('reads entries of the file that name a container', async () => {
    const { jobs, problems } = await findJobs({
      file: 'sources: {orders: {container: orders-db, databases: ["a,b"], keep: all}}',
    });
    expect(problems).toEqual([]);
    expect(jobs).toMatchObject([
      {
        source: 'orders',
        engine: null,
        target: { by: 'name', container: 'orders-db' },
        databases: ['a,b'],
        keep: { all: true },
      },
    ]);
  });

  it('can be switched off', async () => {
    const names = await findNames({
      environment: { BACKUPD_SOURCES: 'a=postgres://a', BACKUPD_SOURCE_A_ENABLE: 'false' },
      file: 'sources: {b: {container: b, enable: false}}',
    });
    expect(names).toEqual([]);
  });

  it('has them also while Docker cannot be asked, and does not call others unknown', async () => {
    const names = await findNames({
      environment: { BACKUPD_SOURCES: 'a=postgres://a', BACKUPD_SOURCE_DB_KEEP: 'all' },
      file: 'sources: {db: {facts: off}}',
      containers: null,
    });
    expect(names).toEqual(['a']);
  });

  it('runs none of two sources of one name, and tells both', async () => {
    const { jobs, problems } = await findJobs({
      environment: { BACKUPD_SOURCES: 'db=postgres://x a=postgres://a' },
      file: 'sources: {a: {container: b}}',
      containers: [container({ enable: 'true' })],
    });
    expect(jobs).toEqual([]);
    expect(brief(problems)).toEqual([
      'source db: container "shop-db-1"',
      'source db: BACKUPD_SOURCES',
      'source a: BACKUPD_SOURCES',
      'source a: sources.a in /c.yml',
    ]);
    expect(problems[0]?.message).toBe(
      '2 sources have the name "db", from container "shop-db-1" and BACKUPD_SOURCES: none of them runs',
    );
  });

  it('runs neither of two containers that are given one name', async () => {
    const { jobs, problems } = await findJobs({
      containers: [
        container({ enable: 'true', name: 'x' }),
        container({ enable: 'true', name: 'x' }, { service: 'other' }),
        container({ enable: 'true' }, { service: 'third' }),
      ],
    });
    expect(jobs.map(({ source }) => source)).toEqual(['third']);
    expect(problems).toHaveLength(2);
  });

  it('lets one container be two sources by two names', async () => {
    const names = await findNames({
      environment: { BACKUPD_SOURCES: 'db-shop=postgres://db/shop' },
      containers: [container({ enable: 'true' })],
    });
    expect(names).toEqual(['db', 'db-shop']);
  });

  it('does not run a source that labels declare rightly and BACKUPD_SOURCES wrongly', async () => {
    const { jobs } = await findJobs({
      environment: { BACKUPD_SOURCES: 'db=oracle://db' },
      containers: [container({ enable: 'true' })],
    });
    expect(jobs).toEqual([]);
  });
});

describe('where a value of a source comes from', () => {
  const LAYERS = {
    label: { schedule: '1 1 * * *' },
    environment: { BACKUPD_SOURCE_DB_SCHEDULE: '2 2 * * *' },
    file: 'schedule: 4 4 * * *\nsources: {db: {schedule: 3 3 * * *}}',
  };

  it.each([
    ['label', ['label', 'environment', 'file'], '1 1 * * *', 'label backupd.schedule'],
    ['variable', ['environment', 'file'], '2 2 * * *', 'environment BACKUPD_SOURCE_DB_SCHEDULE'],
    ['entry of the file', ['file'], '3 3 * * *', 'file /c.yml'],
    ['global value', [], '0 2 * * *', 'BACKUPD_SCHEDULE'],
  ])('prefers the %s', async (_, layers, pattern, from) => {
    const { jobs, problems, options } = await findJobs({
      environment: layers.includes('environment') ? LAYERS.environment : {},
      ...(layers.includes('file') ? { file: LAYERS.file } : {}),
      containers: [
        container({ enable: 'true', ...(layers.includes('label') ? LAYERS.label : {}) }),
      ],
    });
    expect(problems).toEqual([]);
    expect(jobs[0]?.schedule.patterns).toEqual([pattern]);
    expect(options.get('db')).toContainEqual({ name: 'schedule', value: pattern, from });
  });

  it('prefers the global value of the file to the default', async () => {
    const { jobs } = await findJobs({
      file: 'schedule: 4 4 * * *',
      containers: [container({ enable: 'true' })],
    });
    expect(jobs[0]?.schedule.patterns).toEqual(['4 4 * * *']);
  });

  it('prefers a variable to what BACKUPD_SOURCES says, and that to the file', async () => {
    const sources = { BACKUPD_SOURCES: 'db=postgres://db/one' };
    const file = 'sources: {db: {databases: [three]}}';
    const both = await findJobs({
      environment: { ...sources, BACKUPD_SOURCE_DB_DATABASES: 'two' },
      file,
    });
    const one = await findJobs({ environment: sources, file });
    expect(both.jobs[0]?.databases).toEqual(['two']);
    expect(one.jobs[0]?.databases).toEqual(['one']);
  });

  it.each(['shop-db', 'shop.db', 'shop_db'])(
    'writes %s as SHOP_DB in names of variables',
    async (name) => {
      const { jobs, problems } = await findJobs({
        environment: { BACKUPD_SOURCE_SHOP_DB_MAX_AGE: '3x' },
        containers: [container({ enable: 'true', name })],
      });
      expect(problems).toEqual([]);
      expect(jobs[0]?.maxAge).toEqual({ intervals: 3 });
    },
  );

  it('stops the source for its wrong variable', async () => {
    const { jobs, problems } = await findJobs({
      environment: { BACKUPD_SOURCE_DB_KEEP: 'x' },
      containers: [container({ enable: 'true' })],
    });
    expect(jobs).toEqual([]);
    expect(brief(problems)).toEqual(['source db: BACKUPD_SOURCE_DB_KEEP']);
  });

  it('tells a variable whose name stands for two sources, and uses it for both', async () => {
    const { jobs, problems } = await findJobs({
      environment: { BACKUPD_SOURCE_A_B_KEEP: 'all' },
      containers: [
        container({ enable: 'true', name: 'a-b' }),
        container({ enable: 'true', name: 'a.b' }, { service: 'other' }),
      ],
    });
    expect(jobs.map(({ keep }) => keep.all)).toEqual([true, true]);
    expect(brief(problems)).toEqual(['loud -: BACKUPD_SOURCE_A_B_KEEP']);
    expect(problems[0]?.message).toContain('"a-b" and "a.b"');
  });

  it('tells variables and entries of sources that there are not', async () => {
    const { jobs, problems } = await findJobs({
      environment: { BACKUPD_SOURCE_ORDRES_KEEP: 'all', BACKUPD_SOURCE_XYZ_USER: 'x' },
      file: 'sources: {order: {keep: all}}',
      containers: [container({ enable: 'true', name: 'orders' })],
    });
    expect(jobs).toHaveLength(1);
    expect(brief(problems)).toEqual([
      'loud -: BACKUPD_SOURCE_ORDRES_KEEP',
      'loud -: BACKUPD_SOURCE_XYZ_USER',
      'loud order: sources.order in /c.yml',
    ]);
    expect(problems.map(({ hint }) => hint)).toEqual([
      'Perhaps BACKUPD_SOURCE_ORDERS_KEEP was meant.',
      'See docs/configuration.md for what there is, or remove it.',
      'Perhaps orders was meant.',
    ]);
  });

  it('knows the options of a source that does not run', async () => {
    const { problems } = await findJobs({
      environment: { BACKUPD_SOURCE_DB_KEEP: 'all' },
      containers: [container({ enable: 'true', facts: 'x' })],
    });
    expect(brief(problems)).toEqual(['source db: backupd.facts on container "shop-db-1"']);
  });

  it('says that a global value is the default where nothing else is said', async () => {
    const { options } = await findJobs({ containers: [container({ enable: 'true' })] });
    expect(options.get('db')).toEqual([
      { name: 'enable', value: 'true', from: 'label backupd.enable' },
      { name: 'engine', value: null, from: 'default' },
      { name: 'databases', value: null, from: 'default' },
      { name: 'exclude', value: null, from: 'default' },
      { name: 'user', value: null, from: 'default' },
      { name: 'passwordFile', value: null, from: 'default' },
      { name: 'schedule', value: '0 2 * * *', from: 'BACKUPD_SCHEDULE' },
      { name: 'keep', value: 'hourly=24 daily=7 weekly=4 monthly=12', from: 'BACKUPD_KEEP' },
      { name: 'maxAge', value: '1.5x', from: 'BACKUPD_MAX_AGE' },
      { name: 'facts', value: 'exact', from: 'BACKUPD_FACTS' },
      { name: 'stop', value: null, from: 'default' },
      { name: 'pause', value: null, from: 'default' },
      { name: 'before', value: null, from: 'default' },
      { name: 'after', value: null, from: 'default' },
      { name: 'drill', value: '0 4 1 * *', from: 'BACKUPD_DRILL_SCHEDULE' },
      { name: 'drillCheck', value: null, from: 'default' },
      { name: 'rpo', value: null, from: 'BACKUPD_RPO' },
      { name: 'rto', value: null, from: 'BACKUPD_RTO' },
    ]);
  });
});

it('is the same for the same containers in any order', async () => {
  const containers = [
    container({ enable: 'true' }),
    container({ enable: 'true' }, { service: 'b' }),
    container({ enable: 'true' }, { project: null, service: null, name: 'c' }),
  ];
  const environment = { BACKUPD_DISCOVER: 'host' };
  const forth = await findNames({ environment, containers });
  const back = await findNames({ environment, containers: containers.toReversed() });
  expect([...back].toSorted()).toEqual([...forth].toSorted());
});
