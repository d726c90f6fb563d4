import { describe, expect, it } from 'vitest';
import { brief, container, findJobs, findNames, OWN } from './find-jobs.ts';
import { containing } from './matchers.ts';

describe('sources by labels', () => {
  it('gives a job with the defaults for one label', async () => {
    const { jobs, problems } = await findJobs({ containers: [container({ enable: 'true' })] });
    expect(problems).toEqual([]);
    expect(jobs).toEqual([
      {
        source: 'db',
        engine: null,
        target: { by: 'discovery', containerId: 'id of shop-db-1', container: 'shop-db-1' },
        databases: null,
        exclude: [],
        user: null,
        passwordFile: null,
        stop: [],
        pause: [],
        before: null,
        after: null,
        drill: { patterns: ['0 4 1 * *'], timezone: 'UTC', catchUpMs: 86_400_000 },
        drillCheck: null,
        rpoMs: null,
        rtoMs: null,
        schedule: { patterns: ['0 2 * * *'], timezone: 'UTC', catchUpMs: 86_400_000 },
        keep: {
          all: false,
          last: 0,
          hourly: 24,
          daily: 7,
          weekly: 4,
          monthly: 12,
          yearly: 0,
          withinMs: 0,
        },
        maxAge: { intervals: 1.5 },
        timeoutMs: 21_600_000,
        facts: 'exact',
        compression: { algorithm: 'zstd', level: 3, where: 'auto' },
      },
    ]);
  });

  it('takes every label', async () => {
    const { jobs, problems } = await findJobs({
      containers: [
        container({
          enable: 'true',
          name: 'orders',
          engine: 'postgres',
          databases: 'shop, My Db',
          exclude: 'scratch',
          user: 'backup',
          password_file: '/run/secrets/pw',
          schedule: '0 */6 * * *; @weekly',
          keep: 'all',
          max_age: '26h',
          facts: 'off',
          stop: 'app, worker',
          pause: 'cache',
          before: 'flush "$HOME"',
          after: 'true',
        }),
      ],
    });
    expect(problems).toEqual([]);
    expect(jobs).toMatchObject([
      {
        source: 'orders',
        engine: 'postgres',
        databases: ['shop', 'My Db'],
        exclude: ['scratch'],
        user: 'backup',
        passwordFile: '/run/secrets/pw',
        schedule: { patterns: ['0 */6 * * *', '@weekly'] },
        keep: { all: true },
        maxAge: { ms: 93_600_000 },
        facts: 'off',
        stop: ['app', 'worker'],
        pause: ['cache'],
        before: 'flush "$HOME"',
        after: 'true',
      },
    ]);
  });

  it('is no source without labels, and says nothing of it', async () => {
    expect(await findNames({ containers: [container({})] })).toEqual([]);
  });

  it('is no source with backupd.enable=false, whatever else the image carries', async () => {
    const labels = { enable: 'false', name: 'DB', keep: 'nonsense', wrong: 'x' };
    expect(await findNames({ containers: [container(labels)] })).toEqual([]);
  });

  it.each([
    ['project', OWN, ['db']],
    ['project', { project: null }, []],
    ['host', OWN, ['shop-db', 'blog-db', 'lonely']],
    ['host', { project: null }, ['shop-db', 'blog-db', 'lonely']],
    ['off', OWN, []],
  ])('looks with BACKUPD_DISCOVER=%s in %j', async (discover, own, names) => {
    const containers = [
      container({ enable: 'true' }),
      container({ enable: 'true' }, { project: 'blog' }),
      container({ enable: 'true' }, { project: null, service: null, name: 'lonely' }),
    ];
    const environment = { BACKUPD_DISCOVER: discover };
    expect(await findNames({ environment, containers, own })).toEqual(names);
  });

  it('leaves a chosen name as it is, also on the whole host', async () => {
    const containers = [container({ enable: 'true', name: 'orders' })];
    const environment = { BACKUPD_DISCOVER: 'host' };
    expect(await findNames({ environment, containers })).toEqual(['orders']);
  });

  it.each(['True', 'true'])('never takes a one-off container (%s)', async (oneoff) => {
    const containers = [container({ enable: 'true', wrong: 'x' }, { oneoff })];
    expect(await findNames({ containers })).toEqual([]);
  });

  it('takes one that is stopped: whoever backs it up will be told', async () => {
    const containers = [container({ enable: 'true' }, { state: 'exited' })];
    expect(await findNames({ containers })).toEqual(['db']);
  });

  it('refuses a name that can be none', async () => {
    const { jobs, problems } = await findJobs({
      containers: [
        container({ enable: 'true' }, { service: 'Orders' }),
        container({ enable: 'true', name: '../x' }, { service: 'other' }),
      ],
    });
    expect(jobs).toEqual([]);
    expect(problems).toEqual([
      {
        source: 'Orders',
        option: 'backupd.name on container "shop-Orders-1"',
        message: containing('"Orders" is not valid, expected up to 63 characters'),
        hint: 'Give the source a name with the label backupd.name.',
        severity: 'source',
      },
      expect.objectContaining({ source: '../x', severity: 'source' }),
    ]);
  });

  it.each([
    ['enable', 'yes', '"yes" is not valid, expected true or false'],
    ['keep', '', '"" is not valid (it is empty)'],
    ['schedule', 'daily', '"daily" is not valid'],
    ['engine', 'volume', 'a container is no volume'],
    ['engine', 'oracle', '"oracle" is not valid, expected postgres, mysql, mariadb'],
    ['password_file', 'pw', 'expected an absolute path'],
  ])(
    'stops one source for its wrong backupd.%s="%s" and no other',
    async (label, value, message) => {
      const { jobs, problems } = await findJobs({
        containers: [
          container({ enable: 'true', [label]: value }),
          container({ enable: 'true' }, { service: 'other' }),
        ],
      });
      expect(jobs.map(({ source }) => source)).toEqual(['other']);
      expect(problems).toEqual([
        expect.objectContaining({
          source: 'db',
          option: `backupd.${label} on container "shop-db-1"`,
          message: containing(message),
          severity: 'source',
        }),
      ]);
    },
  );

  it('tells every wrong value of a source at once', async () => {
    const { problems } = await findJobs({
      containers: [container({ enable: 'true', keep: 'x', schedule: 'x', max_age: 'x' })],
    });
    expect(problems).toHaveLength(3);
  });

  it.each([
    ['shedule', 'Perhaps backupd.schedule was meant.'],
    ['maxage', 'Perhaps backupd.max_age was meant.'],
    ['drills', 'Perhaps backupd.drill was meant.'],
    ['pitr', 'See docs/configuration.md'],
  ])('tells the unknown label backupd.%s and goes on', async (label, hint) => {
    const { jobs, problems } = await findJobs({
      containers: [container({ enable: 'true', [label]: 'x' })],
    });
    expect(jobs).toHaveLength(1);
    expect(problems).toEqual([
      {
        source: 'db',
        option: `backupd.${label} on container "shop-db-1"`,
        message: `this version of backupd has no label backupd.${label}`,
        hint: containing(hint),
        severity: 'loud',
      },
    ]);
  });

  it('tells a container that has labels but is not enabled', async () => {
    const { jobs, problems } = await findJobs({ containers: [container({ schedule: '@daily' })] });
    expect(jobs).toEqual([]);
    expect(problems).toEqual([
      expect.objectContaining({
        option: 'backupd.enable on container "shop-db-1"',
        message: containing('it is not backed up'),
        severity: 'loud',
      }),
    ]);
  });

  it.each([
    ['the running one of a service in recreation', ['exited', 'running'], ['id 1']],
    ['the old one while the new one is created', ['running', 'created'], ['id 0']],
  ])('takes %s', async (_, states, ids) => {
    const containers = states.map((state, index) =>
      container({ enable: 'true' }, { state, id: `id ${index}`, name: `shop-db-${index}` }),
    );
    const { jobs, problems } = await findJobs({ containers });
    expect(problems).toEqual([]);
    expect(jobs.map(({ target }) => ('containerId' in target ? target.containerId : ''))).toEqual(
      ids,
    );
  });

  it.each([[['running', 'running']], [['exited', 'exited']]])(
    'takes none of several of one service: %j',
    async (states) => {
      const containers = states.map((state, index) =>
        container({ enable: 'true' }, { state, name: `shop-db-${index}` }),
      );
      const { jobs, problems } = await findJobs({ containers });
      expect(jobs).toEqual([]);
      expect(brief(problems)).toEqual([
        'source db: container "shop-db-0"',
        'source db: container "shop-db-1"',
      ]);
      expect(problems[0]?.message).toContain('container "shop-db-0" and container "shop-db-1"');
    },
  );
});
