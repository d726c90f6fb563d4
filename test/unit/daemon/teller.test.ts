import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { NotDelivered, type MessageChannel } from '../../../src/core/channel.ts';
import { ALARM_EVENTS } from '../../../src/core/incident.ts';
import { troubleWith } from '../../../src/core/find-around.ts';
import { teller, type Teller } from '../../../src/daemon/teller.ts';
import { failure } from '../../support/incidents.ts';
import { temporaryFolder, type TemporaryFolder } from '../../support/storage.ts';

const REPORT = { healthy: false, sources: [], destinations: [], problems: [] };
const CALM = new AbortController().signal;

let folder: TemporaryFolder;
let sent: string[];
let log: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  sent = [];
  log = '';
});
afterEach(async () => {
  vi.useRealTimers();
  await folder[Symbol.asyncDispose]();
});

function telling(send: (about: string) => Promise<void> = () => Promise.resolve()): Teller {
  const channel: MessageChannel = {
    name: 'webhook',
    kind: 'events',
    async send(message) {
      await send(message.type === 'test' ? '' : (message.news[0]?.incident.about ?? ''));
      sent.push(
        message.type === 'test'
          ? 'test'
          : message.news.map(({ incident, tells }) => `${incident.about} ${tells}`).join(),
      );
    },
  };
  const sink = { write: (line: string) => (log += line) };
  const about = { on: ALARM_EVENTS, namespace: 'shop', dir: folder.dir, log: pino({}, sink) };
  return teller({ channel, ...about }, CALM);
}

test('what was sent is known for this life where it cannot be read nor written down', async () => {
  // What is no folder cannot have files in it.
  await writeFile(join(folder.dir, '.backupd'), '');
  const one = telling();
  for (let look = 0; look < 3; look += 1) {
    one.hear({ report: REPORT, incidents: [failure('db')], unseen: [] });
    await one.idle();
  }
  expect(sent).toEqual(['backup open']);
  expect(log).toContain('what was told not read');
  expect(log.match(/what was told not written down/g)).toHaveLength(1);
});

test('what a channel cannot tell of itself it is not told', async () => {
  const own = failure('db', { about: troubleWith('webhook') });
  const others = failure('db', { about: troubleWith('slack') });
  const one = telling();
  one.hear({ report: REPORT, incidents: [own, others], unseen: [] });
  await one.idle();
  expect(sent).toEqual(['channel slack open']);
});

test('what begins and ends while something is sent is told behind it', async () => {
  const held = Promise.withResolvers<undefined>();
  const begun = Promise.withResolvers<undefined>();
  const one = telling(async () => {
    begun.resolve(undefined);
    await held.promise;
  });
  const [first, second] = [failure('db'), failure('db', { about: 'verification' })];
  one.hear({ report: REPORT, incidents: [first], unseen: [] });
  await begun.promise;
  one.hear({ report: REPORT, incidents: [first, second], unseen: [] });
  one.hear({ report: REPORT, incidents: [first], unseen: [] });
  held.resolve(undefined);
  await one.idle();
  expect(sent).toEqual(['backup open', 'verification open', 'verification over']);
});

test('what is refused again and again keeps no later news from being sent', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const one = telling((about) =>
    about === 'drill'
      ? Promise.reject(new NotDelivered('it answered 422', { isRefused: true }))
      : Promise.resolve(),
  );
  const drill = failure('db', { event: 'drill', about: 'drill' });
  for (let minute = 0; minute < 4; minute += 1) {
    one.hear({ report: REPORT, incidents: [drill, failure('db')], unseen: [] });
    await one.idle();
    vi.setSystemTime(Date.now() + 60_000);
  }
  expect(sent).toEqual(['backup open']);
});

test('a bug in a channel is logged, and tried again by the next look', async () => {
  let isBroken = true;
  const one = telling(() =>
    isBroken ? Promise.reject(new TypeError('undefined is not a function')) : Promise.resolve(),
  );
  one.hear({ report: REPORT, incidents: [failure('db')], unseen: [] });
  await one.idle();
  expect(log).toContain('alarms not told');
  isBroken = false;
  one.hear({ report: REPORT, incidents: [failure('db')], unseen: [] });
  await one.idle();
  expect(sent).toEqual(['backup open']);
});

test('a mistake in a label is not solved because Docker is silent', async () => {
  const mistake = failure('db', { event: 'config', about: 'backupd.keep' });
  const one = telling();
  one.hear({ report: REPORT, incidents: [mistake, failure('db')], unseen: [] });
  await one.idle();
  one.hear({ report: REPORT, incidents: [], unseen: ['config'] });
  await one.idle();
  expect(sent).toEqual(['backupd.keep open', 'backup open', 'backup over']);
});
