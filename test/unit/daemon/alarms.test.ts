import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Attempt } from '../../../src/core/events.ts';
import { formatBackupId } from '../../../src/core/layout.ts';
import type { NotifySettings } from '../../../src/core/notify-settings.ts';
import { secret } from '../../../src/core/secret.ts';
import { alarm } from '../../../src/daemon/alarm.ts';
import { keepAlarms } from '../../../src/daemon/alarms.ts';
import { buildStatus } from '../../../src/jobs/status.ts';
import { openChannels } from '../../../src/notifications/open.ts';
import { recordAttempt } from '../../../src/store/attempts.ts';
import { readChannelRecord } from '../../../src/store/channel-record.ts';
import { NOBODY_TOLD } from '../../support/storage.ts';
import { httpSink, type HttpSink } from '../../support/http-sink.ts';
import { boundSource } from '../cli/paper-source.ts';
import { fakeApp, type FakeApp } from '../cli/support.ts';

/** For machines that are busy; nothing waits longer than it takes. */
const PATIENCE = { timeout: 9000, interval: 10 };
const MINUTE_MS = 60_000;

let world: FakeApp;
let sink: HttpSink;

beforeEach(async () => {
  world = await fakeApp();
  sink = await httpSink();
  world.discovery.sources.push(boundSource('db'));
});
afterEach(async () => {
  await sink[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

function minutesAgo(minutes: number): string {
  return new Date(Date.now() - minutes * MINUTE_MS).toISOString();
}

async function failed(
  source: string,
  minutes: number,
  change: Partial<Attempt> = {},
): Promise<void> {
  const at = minutesAgo(minutes);
  const failure = {
    code: 'dump-failed',
    message: `pg_dump of ${source} failed`,
    hint: null,
  } as const;
  await recordAttempt(world.app.context.storage.dir, source, {
    at,
    finishedAt: at,
    outcome: 'failed',
    trigger: 'manual',
    id: null,
    failure,
    ...change,
  });
}

async function succeeded(source: string, minutes: number): Promise<void> {
  const startedAt = minutesAgo(minutes);
  const id = formatBackupId({ startedAt: new Date(startedAt), kind: 'full', suffix: '0000' });
  await world.add({ id, source, startedAt, finishedAt: startedAt });
  await failed(source, minutes, { at: startedAt, outcome: 'success', failure: null, id });
}

/** A life of the daemon's alarms that ends when it has done what is waited for. */
async function live(notify: Partial<NotifySettings>, until: () => Promise<void>): Promise<string> {
  let log = '';
  const settings = { ...world.app.settings, notify: { ...NOBODY_TOLD, ...notify } };
  const sending = { namespace: 'shop', answerWithinMs: 5000 };
  const app = {
    ...world.app,
    settings,
    openChannels: () => openChannels(settings.notify, sending),
  };
  const stopping = new AbortController();
  const loops = {
    app,
    log: pino({}, { write: (line: string) => (log += line) }),
    scheduler: { follow: () => Promise.resolve(), tick: () => Promise.resolve(null) },
    wake: alarm(),
    watches: { watch: () => undefined } as never,
    seen: world.discovery,
    ownName: 'backupd',
  };
  const kept = keepAlarms(loops, stopping.signal);
  try {
    await until();
  } finally {
    stopping.abort();
    await kept;
  }
  return log;
}

function webhook(): Partial<NotifySettings> {
  return { webhook: { url: secret(`${sink.url}/s3cr3t`), secret: null } };
}

function told(): readonly string[] {
  return sink.posted.map(({ body }) => {
    const { event, source } = JSON.parse(body) as { event: string; source: string | null };
    return `${event} ${source ?? '-'}`;
  });
}

/** Until so many messages were sent, and that is written down. */
async function untilTold(count: number): Promise<void> {
  await expect.poll(() => told().length, PATIENCE).toBe(count);
  await expect.poll(async () => (await record()).lastSentAt, PATIENCE).not.toBeNull();
  await expect
    .poll(async () => (await record()).incidents.every(({ isTold }) => isTold), PATIENCE)
    .toBe(true);
}

async function record(): ReturnType<typeof readChannelRecord> {
  return readChannelRecord(world.app.context.storage.dir, 'webhook');
}

describe('what is recorded is told', () => {
  test('once, also over restarts, and once when it is over', async () => {
    await failed('db', 1);
    await live(webhook(), async () => untilTold(1));
    await live(webhook(), async () => untilTold(1));
    await succeeded('db', 0);
    await live(webhook(), async () => untilTold(2));
    expect(told()).toEqual(['failure db', 'recovery db']);
    expect((await record()).incidents).toEqual([]);
  });

  test('but not while it is tried again', async () => {
    await failed('db', 1, { retryAt: minutesAgo(-1) });
    world.discovery.sources.push(boundSource('other'));
    await failed('other', 1);
    await live(webhook(), async () => untilTold(1));
    expect(told()).toEqual(['failure other']);
  });

  test('of fifty sources at once in one message to people, and one each elsewhere', async () => {
    for (let index = 0; index < 50; index += 1) {
      world.discovery.sources.push(boundSource(`db${index}`));
      await failed(`db${index}`, 1);
    }
    const slack = await httpSink();
    const both = { ...webhook(), slack: secret(slack.url) };
    await live(both, async () => {
      await untilTold(50);
      await expect.poll(() => slack.posted.length, PATIENCE).toBe(1);
    });
    expect(slack.posted).toHaveLength(1);
    expect(slack.posted[0]?.body).toContain('[backupd shop] 50 problems');
    await slack[Symbol.asyncDispose]();
  });
});

describe('a channel that does not work', () => {
  test('is shown and keeps nobody from being told through another', async () => {
    await failed('db', 1);
    const dead = await httpSink();
    dead.answer({ status: 500 });
    const both = { ...webhook(), slack: secret(`${dead.url}/s3cr3t`) };
    const log = await live(both, async () => {
      await untilTold(1);
      await expect
        .poll(async () => {
          const { dir } = world.app.context.storage;
          return (await readChannelRecord(dir, 'slack')).failuresTotal;
        }, PATIENCE)
        .toBe(1);
    });
    expect(log).toContain('alarm not sent');
    expect(log).not.toContain('s3cr3t');
    const settings = { ...world.app.settings, notify: { ...NOBODY_TOLD, ...both } };
    const status = await buildStatus({ ...world.app, settings }, world.discovery, new Date());
    expect(status.problems).toContainEqual(
      expect.objectContaining({
        code: 'notify-failed',
        message: expect.stringContaining('nobody is told through slack: it failed once') as string,
      }),
    );
    expect(JSON.stringify(status)).not.toContain('s3cr3t');
    await dead[Symbol.asyncDispose]();
  });

  test('and hangs does not either, and what was to be told is told later', async () => {
    await failed('db', 1);
    const dead = await httpSink();
    dead.answer('hang');
    const both = { ...webhook(), slack: secret(dead.url) };
    await live(both, async () => {
      await untilTold(1);
      await expect.poll(() => dead.posted.length, PATIENCE).toBe(1);
    });
    dead.answer({ status: 200 });
    await live(both, async () => {
      await expect.poll(() => dead.posted.length, PATIENCE).toBe(2);
    });
    expect(dead.posted[1]?.body).toContain('[backupd shop] backup of db failed');
    await dead[Symbol.asyncDispose]();
  });
});

test('nothing is said to be over because it cannot be seen', async () => {
  await failed('db', 1);
  await live(webhook(), async () => untilTold(1));
  const before = await record();
  const unreadable = join(world.app.context.storage.dir, '.backupd', 'sources');
  await rm(unreadable, { recursive: true, force: true });
  await writeFile(unreadable, '');
  await live(webhook(), async () => {
    await expect.poll(async () => (await record()).incidents.length, PATIENCE).toBe(2);
  });
  expect(told()).toEqual(['failure db']);
  expect((await record()).incidents).toMatchObject([
    { source: 'db', overAt: null, since: before.incidents[0]?.since },
    { event: 'disk', about: 'storage' },
  ]);
});

test('pings are sent for what ended', async () => {
  await succeeded('db', 1);
  const healthchecks = secret(`${sink.url}/ping/{source}`);
  await live({ healthchecks }, async () => {
    await expect.poll(() => sink.posted.map(({ path }) => path), PATIENCE).toEqual(['/ping/db']);
  });
});
