import { describe, expect, test } from 'vitest';
import { loadConfig, type LoadedConfig } from '../../../src/config/load.ts';
import { textFiles } from './text-files.ts';

async function load(
  environment: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): Promise<LoadedConfig> {
  return loadConfig(environment, textFiles(files));
}

const ALL = {
  BACKUPD_NOTIFY_SLACK_URL: 'https://hooks.slack.com/services/T0/B0/s3cr3t',
  BACKUPD_NOTIFY_WEBHOOK_URL: 'https://example.com/hook?token=s3cr3t',
  BACKUPD_NOTIFY_WEBHOOK_SECRET: 's3cr3t',
  BACKUPD_NOTIFY_SMTP_URL: 'smtp://me:s3cr3t@mail.example.com:587',
  BACKUPD_NOTIFY_EMAIL_FROM: 'backupd <backupd@example.com>',
  BACKUPD_NOTIFY_EMAIL_TO: 'ops@example.com, boss@example.com',
  BACKUPD_NOTIFY_PAGERDUTY_KEY: 's3cr3t',
  BACKUPD_NOTIFY_HEALTHCHECKS_URL: 'https://hc-ping.com/s3cr3t/{source}',
  BACKUPD_NOTIFY_ON: 'failure, recovery',
};

test('nobody is told where nothing is configured', async () => {
  const { settings } = await load({});
  expect(settings.notify).toMatchObject({
    slack: null,
    email: null,
    pagerduty: null,
    webhook: null,
    healthchecks: null,
    on: ['failure', 'overdue', 'recovery', 'drill', 'disk', 'config'],
  });
});

test('all channels are read, and no secret is shown', async () => {
  const config = await load(ALL);
  const { notify } = config.settings;
  expect(config.problems).toEqual([]);
  expect(notify.slack?.reveal()).toBe(ALL.BACKUPD_NOTIFY_SLACK_URL);
  expect(notify.email?.to).toEqual(['ops@example.com', 'boss@example.com']);
  expect(notify.pagerduty?.url).toBe('https://events.pagerduty.com/v2/enqueue');
  expect(notify.on).toEqual(['failure', 'recovery']);
  expect(JSON.stringify(config)).not.toContain('s3cr3t');
  const shown = config.options.find(({ name }) => name === 'BACKUPD_NOTIFY_SLACK_URL');
  expect(shown?.value).toBe('https://hooks.slack.com/[hidden]');
});

test('secrets come from files, and options from the section of the configuration file', async () => {
  const { settings, problems, options } = await load(
    {
      BACKUPD_CONFIG: '/etc/backupd.yml',
      BACKUPD_NOTIFY_SLACK_URL_FILE: '/run/secrets/slack',
    },
    {
      '/run/secrets/slack': `${ALL.BACKUPD_NOTIFY_SLACK_URL}\n`,
      '/etc/backupd.yml': 'notify:\n  webhookUrl: https://example.com/x\n  on: failure\n',
    },
  );
  expect(problems).toEqual([]);
  expect(settings.notify.slack?.reveal()).toBe(ALL.BACKUPD_NOTIFY_SLACK_URL);
  expect(settings.notify.webhook?.url.reveal()).toBe('https://example.com/x');
  expect(settings.notify.on).toEqual(['failure']);
  const [from] = options.filter(({ name }) => name === 'BACKUPD_NOTIFY_ON').map((o) => o.from);
  expect(from).toBe('file /etc/backupd.yml');
});

test.each([
  ['smtp://mail.example.com', 'backupd@mail.example.com'],
  ['smtp://me%40example.org:x@mail.example.com', 'me@example.org'],
  ['smtp://me:x@mail.example.com', 'backupd@mail.example.com'],
])('mail by %s is from %s where nobody says more', async (server, from) => {
  const to = { BACKUPD_NOTIFY_EMAIL_TO: 'ops@example.com' };
  const { settings, problems } = await load({ BACKUPD_NOTIFY_SMTP_URL: server, ...to });
  expect(problems).toEqual([]);
  expect(settings.notify.email?.from).toBe(from);
});

describe('problems', () => {
  test.each([
    ['BACKUPD_NOTIFY_SLACK_URL', 'hooks.slack.com/s3cr3t'],
    ['BACKUPD_NOTIFY_WEBHOOK_URL', 'ftp://example.com/s3cr3t'],
    ['BACKUPD_NOTIFY_SMTP_URL', 'smtp://me:s3cr3t%@mail.example.com'],
    ['BACKUPD_NOTIFY_SMTP_URL', 'smtp://me:s3cr3t@mail.example.com/?tls=no'],
    ['BACKUPD_NOTIFY_PAGERDUTY_KEY', 's3cr3t s3cr3t'],
  ])('a wrong %s is told without its value', async (name, value) => {
    const { problems } = await load({ [name]: value });
    const [problem] = problems;
    expect(problem).toMatchObject({ option: name, severity: 'fatal' });
    expect(JSON.stringify(problems)).not.toContain('s3cr3t');
  });

  test.each([
    ['BACKUPD_NOTIFY_EMAIL_FROM', 'nobody'],
    ['BACKUPD_NOTIFY_EMAIL_TO', 'a@example.com,\nb'],
    ['BACKUPD_NOTIFY_ON', 'failure,fire'],
  ])('a wrong %s is told', async (name, value) => {
    const { problems } = await load({ ...ALL, [name]: value });
    expect(problems.map(({ option }) => option)).toContain(name);
  });

  test.each([
    ['BACKUPD_NOTIFY_SMTP_URL', ['BACKUPD_NOTIFY_EMAIL_TO']],
    ['BACKUPD_NOTIFY_EMAIL_FROM', ['BACKUPD_NOTIFY_SMTP_URL']],
    ['BACKUPD_NOTIFY_EMAIL_TO', ['BACKUPD_NOTIFY_SMTP_URL']],
    ['BACKUPD_NOTIFY_WEBHOOK_SECRET', ['BACKUPD_NOTIFY_WEBHOOK_URL']],
  ] as const)('%s alone is a mistake', async (name, missing) => {
    const { problems } = await load({ [name]: ALL[name] });
    expect(problems.map(({ message }) => message)).toEqual(
      missing.map((other) => `it is set and ${other} is not, expected both`),
    );
  });

  test('an unknown key of the section, and a section that is none, are told', async () => {
    const path = '/etc/backupd.yml';
    const unknown = await load({ BACKUPD_CONFIG: path }, { [path]: 'notify:\n  slackUr: x\n' });
    expect(unknown.problems).toMatchObject([
      {
        option: `notify.slackUr in ${path}`,
        severity: 'loud',
        hint: 'Perhaps notify.slackUrl was meant.',
      },
    ]);
    const none = await load({ BACKUPD_CONFIG: path }, { [path]: 'notify: yes\n' });
    expect(none.problems).toMatchObject([{ option: `notify in ${path}`, severity: 'fatal' }]);
    const top = await load({ BACKUPD_CONFIG: path }, { [path]: 'notifySlackUrl: x\n' });
    expect(top.problems).toMatchObject([{ severity: 'loud' }]);
  });
});
