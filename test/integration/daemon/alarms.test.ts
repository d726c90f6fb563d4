import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDaemon, type Daemon } from '../../support/backupd.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { backupdOf, startStage, type FaultStage } from '../../support/fault-stage.ts';
import { httpSink, type HttpSink } from '../../support/http-sink.ts';
import { mailServer, type MailServer } from '../../support/mail-server.ts';
import { scrape } from '../../support/metrics.ts';
import { waitUntilReady } from '../../support/postgres.ts';
import { docker } from '../../support/run-process.ts';
import { temporaryFolder } from '../../support/storage.ts';
import { testVolume, type TestVolume } from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

/** How a container calls this host. */
const HERE = 'host.docker.internal';
const LOGIN = { user: 'backupd', pass: 'marked-s3cr3t-mail' };
const MARKED = ['marked-s3cr3t', Buffer.from(`\0${LOGIN.user}\0${LOGIN.pass}`).toString('base64')];

let stage: FaultStage;
let volume: TestVolume;
let daemon: Daemon;
let mail: MailServer;
/** All channels of HTTP, by their paths. */
let sink: HttpSink;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  const folder = stack.use(await temporaryFolder());
  const ca = await makeCertificates(folder.dir);
  const [cert, key] = await Promise.all([
    readFile(join(folder.dir, 'public.crt'), 'utf8'),
    readFile(join(folder.dir, 'private.key'), 'utf8'),
  ]);
  mail = stack.use(await mailServer({ cert, key, host: '0.0.0.0', login: LOGIN }));
  sink = stack.use(await httpSink({ host: '0.0.0.0' }));
  stage = stack.use(await startStage());
  volume = stack.use(await testVolume());
  const base = sink.url.replace('127.0.0.1', HERE);
  const options = backupdOf(stage, volume, {
    BACKUPD_SCHEDULE: '*/10 * * * * *',
    // Else it is overdue as well.
    BACKUPD_MAX_AGE: '1h',
    BACKUPD_NOTIFY_SLACK_URL: `${base}/slack/marked-s3cr3t`,
    BACKUPD_NOTIFY_WEBHOOK_URL: `${base}/webhook/marked-s3cr3t`,
    BACKUPD_NOTIFY_WEBHOOK_SECRET: 'marked-s3cr3t-hmac',
    BACKUPD_NOTIFY_PAGERDUTY_KEY: 'marked-s3cr3t-key',
    BACKUPD_NOTIFY_PAGERDUTY_URL: `${base}/pagerduty`,
    BACKUPD_NOTIFY_HEALTHCHECKS_URL: `${base}/ping/marked-s3cr3t/{source}`,
    BACKUPD_NOTIFY_SMTP_URL: `smtp://${LOGIN.user}:${LOGIN.pass}@${HERE}:${mail.port}`,
    BACKUPD_NOTIFY_EMAIL_TO: 'ops@example.com',
    BACKUPD_NOTIFY_CA: ca,
    BACKUPD_NAMESPACE: 'shop',
  });
  const more = ['--add-host', `${HERE}:host-gateway`];
  daemon = stack.use(await startDaemon({ ...options, more }));
});
afterAll(async () => stack.disposeAsync());

/** What came at a path. */
function at(path: string): readonly string[] {
  return sink.posted.filter((posted) => posted.path.startsWith(path)).map(({ body }) => body);
}

function subjects(): readonly string[] {
  return mail.mails.map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw)?.[1] ?? '');
}

function events(): readonly string[] {
  return at('/webhook').map((body) => {
    const { event, source } = JSON.parse(body) as { event: string; source: string };
    return `${event} ${source}`;
  });
}

function pages(): readonly string[] {
  return at('/pagerduty').map((body) => {
    const { event_action: action, dedup_key: key } = JSON.parse(body) as Record<string, string>;
    return `${action} ${key}`;
  });
}

describe('a source that is stopped, and started again', () => {
  test('is pinged while it is well', async () => {
    await waitFor('ping', () => Promise.resolve(at('/ping/marked-s3cr3t/db').length > 0), 60_000);
  });

  test('is told through every channel, once', async () => {
    await docker('stop', stage.server.name);
    await waitFor(
      'alarm through every channel',
      () =>
        Promise.resolve(
          at('/slack').length > 0 &&
            at('/ping/marked-s3cr3t/db/fail').length > 0 &&
            events().length > 0 &&
            pages().length > 0 &&
            subjects().length > 0,
        ),
      120_000,
    );
    expect(events()).toEqual(['failure db']);
    expect(pages()).toEqual(['trigger backupd/shop/db/failure']);
    expect(subjects()).toEqual(['[backupd shop] backup of db failed']);
    expect(mail.mails).toMatchObject([{ user: LOGIN.user, secure: true }]);
    const [text = ''] = at('/slack').map((body) => (JSON.parse(body) as { text: string }).text);
    expect(text).toMatch(/^\[backupd shop\] backup of db failed\nWhat: .*target-unavailable/);
    expect(text).toMatch(/\nLast good backup: .* ago\)\nWhat to do: /);
  });

  test('and once more when it is well again', async () => {
    await docker('start', stage.server.name);
    await waitUntilReady(stage.server);
    await waitFor(
      'end of the alarm',
      () => Promise.resolve(events().length > 1 && pages().length > 1 && subjects().length > 1),
      120_000,
    );
    expect(events()).toEqual(['failure db', 'recovery db']);
    expect(pages()).toEqual(['trigger backupd/shop/db/failure', 'resolve backupd/shop/db/failure']);
    expect(subjects()).toEqual([
      '[backupd shop] backup of db failed',
      '[backupd shop] backups of db succeed again',
    ]);
    expect(at('/slack')).toHaveLength(2);
  });
});

test('"check --notify" sends a test through every channel', async () => {
  const before = sink.posted.length;
  const { exitCode, stdout } = await daemon.cli(['check', '--notify', '--json']);
  expect(exitCode).toBe(0);
  const { checks } = JSON.parse(stdout) as {
    checks: { name: string; subject: string; ok: boolean }[];
  };
  expect(checks.filter(({ name }) => name === 'notify').map(({ subject }) => subject)).toEqual([
    'slack',
    'email',
    'pagerduty',
    'webhook',
    'healthchecks',
  ]);
  const paths = sink.posted.slice(before).map(({ path }) => path.replace('/marked-s3cr3t', ''));
  expect(paths).toEqual(
    expect.arrayContaining(['/slack', '/webhook', '/pagerduty', '/ping/db/log']),
  );
  expect(subjects().at(-1)).toBe('[backupd shop] test');
});

test('a channel that is dead is counted, said, and tried again; no secret is said', async () => {
  sink.answer(({ path }) =>
    path.startsWith('/slack')
      ? { status: 403, body: 'no marked-s3cr3t here' }
      : { status: 200, body: 'ok' },
  );
  await docker('stop', stage.server.name);
  await waitFor(
    'failure that is counted',
    async () => {
      const metrics = await scrape(daemon);
      return (metrics('backupd_notify_failures_total', { channel: 'slack' }) ?? 0) > 0;
    },
    120_000,
  );
  const status = await daemon.cli(['status']);
  expect(status.stdout).toMatch(
    /nobody is told through slack: .* answered 403: no \[hidden\] here/,
  );
  const check = await daemon.cli(['check', '--notify']);
  expect(check.exitCode).toBe(4);
  expect(check.stdout).toMatch(/^FAILED {2}notify slack: /m);
  sink.answer({ status: 200 });
  const told = at('/slack').length;
  await waitFor('message', () => Promise.resolve(at('/slack').length > told), 120_000);
  await docker('start', stage.server.name);
  await waitUntilReady(stage.server);

  const said = [
    await daemon.logs(),
    status.stdout,
    check.stdout,
    (await daemon.cli(['config'])).stdout,
    (await daemon.exec(['sh', '-c', 'cat /backups/.backupd/alarms/*.json'])).stdout,
    await (await daemon.get('/metrics')).text(),
  ].join('\n');
  for (const secret of MARKED) {
    expect(said).not.toContain(secret);
  }
}, 400_000);
