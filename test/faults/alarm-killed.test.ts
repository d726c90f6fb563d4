import { join } from 'node:path';
import { mkdir, readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readChannelRecord } from '../../src/store/channel-record.ts';
import { httpSink, type HttpSink } from '../support/http-sink.ts';
import { runProcess, type ProcessResult } from '../support/run-process.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/storage.ts';

const SUPPORT = join(import.meta.dirname, '..', 'support');

let folder: TemporaryFolder;
let pagerduty: HttpSink;

beforeEach(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.dir, '.backupd'), { mode: 0o700 });
  pagerduty = await httpSink();
  pagerduty.answer({ status: 202 });
});
afterEach(async () => {
  await pagerduty[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** A life in which these sources are wrong. */
async function live(
  wrong: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ProcessResult> {
  const kill = env['KILL_AT'] === undefined ? [] : ['--import', join(SUPPORT, 'kill-at.ts')];
  const program = [join(SUPPORT, 'alarm-process.ts'), pagerduty.url, folder.dir, ...wrong];
  return runProcess([process.execPath, ...kill, ...program], { env });
}

async function killed(wrong: readonly string[], step: string): Promise<void> {
  const marker = join(folder.dir, 'killed');
  const { exitCode } = await live(wrong, { KILL_AT: step, KILL_MARKER: marker });
  expect(exitCode).toBeNull();
  expect(await readFile(marker, 'utf8')).toBe(step);
}

/** The incidents that PagerDuty has then: triggers of one key are one, until it is resolved. */
function incidents(): ReadonlyMap<string, number> {
  const open = new Map<string, number>();
  for (const { body } of pagerduty.posted) {
    const event = JSON.parse(body) as { event_action: string; dedup_key: string };
    if (event.event_action === 'trigger') {
      open.set(event.dedup_key, (open.get(event.dedup_key) ?? 0) + 1);
    } else {
      open.delete(event.dedup_key);
    }
  }
  return open;
}

test('killed between send and record it is sent again, and is one incident', async () => {
  await killed(['db'], 'alarm-sent');
  expect(incidents()).toEqual(new Map([['backupd/shop/db/failure', 1]]));
  expect((await live(['db'])).exitCode).toBe(0);
  expect(incidents()).toEqual(new Map([['backupd/shop/db/failure', 2]]));
  expect((await live(['db'])).exitCode).toBe(0);
  expect(pagerduty.posted).toHaveLength(2);
});

test('killed after the record it is not sent again', async () => {
  await killed(['db'], 'alarm-recorded');
  await live(['db']);
  expect(pagerduty.posted).toHaveLength(1);
});

test('killed while it is resolved it is resolved again, until that is accepted', async () => {
  await live(['db']);
  await killed([], 'alarm-sent');
  await live([]);
  expect(incidents()).toEqual(new Map());
  expect(pagerduty.posted).toHaveLength(3);
  await live([]);
  expect(pagerduty.posted).toHaveLength(3);
  expect((await readChannelRecord(folder.dir, 'pagerduty')).incidents).toEqual([]);
});

test('a resolve that is refused is not forgotten', async () => {
  await live(['db']);
  pagerduty.answer({ status: 500 });
  await live([]);
  expect((await readChannelRecord(folder.dir, 'pagerduty')).incidents).toMatchObject([
    { source: 'db', isTold: true },
  ]);
});
