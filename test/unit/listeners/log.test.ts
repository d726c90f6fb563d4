import { describe, expect, test } from 'vitest';
import type { RunEvent } from '../../../src/core/events.ts';
import type { BackupId } from '../../../src/core/layout.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import { logEvents, logger } from '../../../src/listeners/log.ts';

const ID = '20261122T020000Z-full-3fa9' as BackupId;

function sink(isTTY = false): {
  readonly lines: string[];
  isTTY: boolean;
  write(text: string): void;
} {
  const lines: string[] = [];
  return {
    lines,
    isTTY,
    write(text) {
      lines.push(text);
    },
  };
}

function logged(event: RunEvent): Readonly<Record<string, unknown>> | null {
  const to = sink();
  logEvents(logger({ logLevel: 'info', logFormat: 'json' }, to))(event);
  return to.lines[0] === undefined
    ? null
    : (JSON.parse(to.lines[0]) as Readonly<Record<string, unknown>>);
}

describe('format', () => {
  test('JSON without a terminal: a static message, a level by name, an instant', () => {
    const to = sink();
    logger({ logLevel: 'info', logFormat: 'auto' }, to).info({ source: 'db' }, 'backup started');
    expect(to.lines).toHaveLength(1);
    expect(JSON.parse(to.lines[0] ?? '')).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      source: 'db',
      msg: 'backup started',
    });
  });

  test('a plain line for a terminal, with every fact but the empty ones', () => {
    const to = sink(true);
    const log = logger({ logLevel: 'info', logFormat: 'auto' }, to);
    log.warn({ source: 'db', code: 'shrunk', hint: null, count: 3 }, 'backup has a warning');
    expect(to.lines).toHaveLength(1);
    expect(to.lines[0]).toMatch(
      /^\S+Z WARN  backup has a warning source=db code=shrunk count=3\n$/,
    );
  });

  test.each([
    ['two words', '"two words"'],
    ['say "no"', String.raw`"say \"no\""`],
    ['a\nb', String.raw`"a\nb"`],
    ['\u001B[31mred', String.raw`"\u001b[31mred"`],
    ['\u009B31m', String.raw`"\u009b31m"`],
    ['\u202Etxt', String.raw`"\u202etxt"`],
    ['', '""'],
  ])('%j cannot break a line or a terminal', (value, shown) => {
    const to = sink();
    logger({ logLevel: 'info', logFormat: 'pretty' }, to).info({ value }, 'note');
    expect(to.lines.join('').endsWith(` value=${shown}\n`)).toBe(true);
  });

  test('says nothing below its level', () => {
    const to = sink();
    const log = logger({ logLevel: 'warn', logFormat: 'json' }, to);
    log.info('quiet');
    log.error('loud');
    expect(to.lines).toHaveLength(1);
  });

  test('hides what bears the name of a secret', () => {
    for (const logFormat of ['json', 'pretty'] as const) {
      const to = sink();
      const log = logger({ logLevel: 'info', logFormat }, to);
      log.info({ password: 'hunter2', exec: { env: ['PGPASSWORD=hunter2'] } }, 'note');
      expect(to.lines.join('')).toContain('[hidden]');
      expect(to.lines.join('')).not.toContain('hunter2');
    }
  });
});

describe('events', () => {
  test('a backup that is done', () => {
    const files = [{ storedBytes: 10, dumpBytes: 40 }];
    const manifest = { id: ID, files, databases: ['shop'] } as unknown as Manifest;
    expect(
      logged({ type: 'backup-finished', source: 'db', manifest, durationMs: 1500 }),
    ).toMatchObject({
      level: 'info',
      msg: 'backup finished',
      source: 'db',
      id: ID,
      durationMs: 1500,
      storedBytes: 10,
      dumpBytes: 40,
    });
  });

  test.each([
    ['dump-failed', 'error', 'backup failed'],
    ['locked', 'warn', 'backup skipped'],
    ['cancelled', 'warn', 'backup cancelled'],
  ] as const)('a run that ended with %s', (code, level, msg) => {
    const failure = { code, message: 'pg_dump exited with 1', hint: 'Look at it.' };
    expect(
      logged({ type: 'backup-failed', source: 'db', id: ID, failure, durationMs: 5 }),
    ).toMatchObject({ level, msg, code, error: 'pg_dump exited with 1', hint: 'Look at it.' });
  });

  test('progress is for terminals', () => {
    const progress = { source: 'db', stem: 'shop.dump', storedBytes: 1, dumpBytes: 2 };
    expect(logged({ type: 'backup-progress', ...progress })).toBeNull();
  });

  test('a mass removal that was held says what to do', () => {
    expect(logged({ type: 'prune-held', source: 'db', where: 'local', count: 12 })).toMatchObject({
      level: 'error',
      count: 12,
      hint: expect.stringContaining('prune --yes') as string,
    });
  });
});
