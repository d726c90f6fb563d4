import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Message, MessageChannel, NotDelivered } from '../../../src/core/channel.ts';
import { secret } from '../../../src/core/secret.ts';
import { healthchecksChannel } from '../../../src/notifications/healthchecks.ts';
import { pagerdutyChannel } from '../../../src/notifications/pagerduty.ts';
import { slackChannel } from '../../../src/notifications/slack.ts';
import { webhookChannel } from '../../../src/notifications/webhook.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { httpSink, type HttpSink, type SinkAnswer } from '../../support/http-sink.ts';
import { news } from '../../support/incidents.ts';
import { temporaryFolder } from '../../support/storage.ts';

const SECRET = 'T0000-s3cr3t-hook';
const CALM = new AbortController().signal;
const AT = '2026-11-28T02:00:30.000Z';
const OPEN: Message = { type: 'news', news: [news('db')], at: AT };
const OVER: Message = { type: 'news', news: [news('db', 'over')], at: AT };

let sink: HttpSink;

beforeAll(async () => {
  sink = await httpSink();
});
afterAll(async () => sink[Symbol.asyncDispose]());
beforeEach(() => {
  sink.posted.length = 0;
  sink.answer({ status: 200, body: 'ok' });
});

function sending(answerWithinMs = 5000): { namespace: string; ca: null; answerWithinMs: number } {
  return { namespace: 'shop', ca: null, answerWithinMs };
}

function channels(base: string, answerWithinMs?: number): readonly MessageChannel[] {
  const common = sending(answerWithinMs);
  const url = secret(`${base}/services/${SECRET}?token=${SECRET}`);
  return [
    slackChannel({ ...common, url }),
    webhookChannel({ ...common, url, secret: secret(SECRET) }),
    pagerdutyChannel({ ...common, url: `${base}/v2/enqueue`, key: secret(SECRET) }),
  ];
}

function bodies(): readonly unknown[] {
  return sink.posted.map(({ body }) => JSON.parse(body) as unknown);
}

async function refusal(channel: MessageChannel, message = OPEN): Promise<NotDelivered> {
  return channel.send(message, CALM).then(
    () => Promise.reject(new Error('it was taken')),
    (error: unknown) => error as NotDelivered,
  );
}

test('Slack gets a text without markup, in which nobody is called', async () => {
  const [slack] = channels(sink.url);
  const wild = news('db', 'open', { message: 'table "<!channel> *x* @here a&b"' });
  await slack?.send({ type: 'news', news: [wild], at: AT }, CALM);
  expect(sink.posted[0]).toMatchObject({
    method: 'POST',
    path: `/services/${SECRET}?token=${SECRET}`,
  });
  const [{ text, mrkdwn }] = bodies() as [{ text: string; mrkdwn: boolean }];
  expect(mrkdwn).toBe(false);
  expect(text.split('\n').slice(0, 2)).toEqual([
    '[backupd shop] backup of db failed',
    'What: table "‹!channel› ∗x∗ @\u200Bhere a&amp;b" (target-unavailable)',
  ]);
});

test('a webhook gets JSON with all fields, signed', async () => {
  const [, webhook] = channels(sink.url);
  await webhook?.send(OPEN, CALM);
  await webhook?.send(OVER, CALM);
  const [open, over] = bodies() as [Record<string, unknown>, Record<string, unknown>];
  expect(open).toEqual({
    event: 'failure',
    namespace: 'shop',
    source: 'db',
    at: AT,
    since: '2026-11-28T02:00:00.000Z',
    code: 'target-unavailable',
    message: 'container "shop-db-1" does not run',
    hint: 'Start it: "docker start shop-db-1".',
    lastSuccessAt: '2026-11-27T02:01:00.000Z',
    destination: null,
    of: null,
    key: 'backupd/shop/db/failure/failure/db//backup/2026-11-28T02:00:00.000Z',
  });
  expect(over).toMatchObject({ event: 'recovery', of: 'failure', hint: null, key: open['key'] });
  const [{ headers, body }] = sink.posted as [(typeof sink.posted)[0]];
  const hmac = createHmac('sha256', SECRET).update(body).digest('hex');
  expect(headers['x-backupd-signature']).toBe(`sha256=${hmac}`);
});

test('a webhook without a secret is not signed', async () => {
  const url = secret(sink.url);
  await webhookChannel({ ...sending(), url, secret: null }).send(OPEN, CALM);
  expect(sink.posted[0]?.headers).not.toHaveProperty('x-backupd-signature');
});

test('PagerDuty gets a trigger, and a resolve of the same key', async () => {
  const [, , pagerduty] = channels(sink.url);
  await pagerduty?.send(OPEN, CALM);
  await pagerduty?.send(OVER, CALM);
  expect(bodies()).toMatchObject([
    {
      routing_key: SECRET,
      event_action: 'trigger',
      dedup_key: 'backupd/shop/db/failure',
      payload: {
        summary: '[backupd shop] backup of db failed: container "shop-db-1" does not run',
        severity: 'error',
        source: 'shop/db',
        class: 'failure',
      },
    },
    { event_action: 'resolve', dedup_key: 'backupd/shop/db/failure' },
  ]);
});

test('a test is no alarm, and is ended where it would last', async () => {
  for (const channel of channels(sink.url)) {
    await channel.send({ type: 'test', at: AT }, CALM);
  }
  expect(bodies()).toMatchObject([
    { text: expect.stringContaining('This is a test') as string },
    { event: 'test', source: null },
    { event_action: 'trigger', dedup_key: 'backupd/shop/-/test' },
    { event_action: 'resolve', dedup_key: 'backupd/shop/-/test' },
  ]);
});

describe('pings', () => {
  const ping = { source: 'db', text: 'it failed: <b>\nno', mark: '1' } as const;

  test.each([
    ['success', '/ping/x/db?a=b'],
    ['failure', '/ping/x/db/fail?a=b'],
    ['test', '/ping/x/db/log?a=b'],
  ] as const)('%s asks for %s', async (tells, path) => {
    const url = secret(`${sink.url}/ping/x/{source}?a=b`);
    const channel = healthchecksChannel({ ...sending(), url });
    expect(channel.isBySource).toBe(true);
    await channel.ping({ ...ping, tells }, CALM);
    expect(sink.posted).toMatchObject([{ path, body: 'it failed: ‹b›\nno' }]);
  });

  test('of all together have one address', async () => {
    const channel = healthchecksChannel({ ...sending(), url: secret(`${sink.url}/ping/x/`) });
    expect(channel.isBySource).toBe(false);
    await channel.ping({ ...ping, source: null, tells: 'success' }, CALM);
    expect(sink.posted).toMatchObject([{ path: '/ping/x' }]);
  });
});

describe('who is asked', () => {
  const ANSWERS: readonly (readonly [string, SinkAnswer, RegExp, number | null])[] = [
    ['fails', { status: 500, body: 'oops\nno' }, /^127\.0\.0\.1:\d+ answered 500: oops no$/, null],
    ['has enough', { status: 429, headers: { 'retry-after': '120' } }, /answered 429$/, 120_000],
    [
      'repeats the address',
      { status: 404, body: `no /services/${SECRET}?token=${SECRET}` },
      /answered 404: no .*\[hidden\]$/,
      null,
    ],
    [
      'repeats secrets',
      { status: 403, body: `no ${SECRET}` },
      /answered 403: no \[hidden\]$/,
      null,
    ],
    ['sends elsewhere', { status: 302, headers: { location: '/x' } }, /answered 302$/, null],
  ];

  test.each(ANSWERS)('and %s', async (_, answer, message, retryAfterMs) => {
    sink.answer(answer);
    for (const channel of channels(sink.url)) {
      const error = await refusal(channel);
      expect(error).toMatchObject({ name: 'NotDelivered', retryAfterMs });
      expect(error.message).toMatch(message);
    }
  });

  test.each([
    [422, true],
    [400, true],
    [408, false],
    [429, false],
    [500, false],
  ])('and says %d: this very message is not wanted: %s', async (status, isRefused) => {
    sink.answer({ status });
    for (const channel of channels(sink.url)) {
      expect(await refusal(channel)).toMatchObject({ isRefused });
    }
  });

  test('and is busy until a certain time', async () => {
    const until = new Date(Date.now() + 3_600_000).toUTCString();
    sink.answer({ status: 503, headers: { 'retry-after': until } });
    const [slack] = channels(sink.url);
    const { retryAfterMs } = await refusal(slack ?? fail());
    expect(retryAfterMs).toBeGreaterThan(3_500_000);
  });

  test('and hangs, or talks without an end', async () => {
    sink.answer('hang');
    for (const channel of channels(sink.url, 200)) {
      expect((await refusal(channel)).message).toMatch(/: no answer within 0\.2 s$/);
    }
    sink.answer({ status: 200, body: 'x'.repeat(1e6) });
    for (const channel of channels(sink.url)) {
      await channel.send(OPEN, CALM);
    }
  });

  test('and is not there', async () => {
    const gone = await httpSink();
    await gone[Symbol.asyncDispose]();
    for (const channel of channels(gone.url)) {
      const { message } = await refusal(channel);
      expect(message).toContain('ECONNREFUSED');
      expect(message).not.toContain(SECRET);
    }
  });

  test('is asked no more when the daemon stops', async () => {
    sink.answer('hang');
    const stopping = new AbortController();
    const [slack] = channels(sink.url);
    const sent = slack?.send(OPEN, stopping.signal);
    await expect.poll(() => sink.posted.length).toBe(1);
    stopping.abort();
    await expect(sent).rejects.toMatchObject({ name: 'AbortError' });
  });
});

test('TLS: an authority of one’s own is trusted where that is given, and not without it', async () => {
  await using folder = await temporaryFolder();
  const ca = await makeCertificates(folder.dir);
  const [cert, key] = await Promise.all([
    readFile(join(folder.dir, 'public.crt'), 'utf8'),
    readFile(join(folder.dir, 'private.key'), 'utf8'),
  ]);
  await using secure = await httpSink({ tls: { cert, key } });
  const url = secret(`${secure.url}/${SECRET}`);
  const untrusting = slackChannel({ ...sending(), url });
  expect((await refusal(untrusting)).message).toMatch(/certificate/);
  await slackChannel({ ...sending(), ca, url }).send(OPEN, CALM);
  expect(secure.posted).toHaveLength(1);
});

function fail(): never {
  throw new Error('there is no channel');
}
