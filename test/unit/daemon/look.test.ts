import { describe, expect, test } from 'vitest';
import type { ConfigProblem } from '../../../src/core/discovery.ts';
import { keepKnown, NOTHING_SEEN, reportChanges } from '../../../src/daemon/look.ts';
import type { Discovery } from '../../../src/jobs/context.ts';
import { logger } from '../../../src/listeners/log.ts';
import { boundSource } from '../cli/paper-source.ts';

const LOUD: ConfigProblem = {
  source: null,
  option: 'BACKUPD_SHEDULE',
  message: 'there is no such variable',
  hint: null,
  severity: 'loud',
};
const SILENT = { code: 'target-unavailable', message: 'no socket', hint: null } as const;

function seen(change: Partial<Discovery> = {}): Discovery {
  return { sources: [boundSource('db')], problems: [], docker: null, ...change };
}

/** What is said of each look that follows another: level and message. */
function said(...looks: readonly Discovery[]): readonly (readonly string[])[] {
  let before = NOTHING_SEEN;
  return looks.map((found) => {
    const look = keepKnown(before, found);
    const lines: string[] = [];
    const sink = {
      write(text: string) {
        const { level, msg } = JSON.parse(text) as Readonly<Record<string, string>>;
        lines.push(`${level}: ${msg}`);
      },
    };
    const log = logger({ logLevel: 'info', logFormat: 'json' }, sink);
    reportChanges({ problems: [] }, before, look, log);
    before = look;
    return lines;
  });
}

describe('the log of looks', () => {
  test('has sources that come and go, once', () => {
    expect(said(seen(), seen(), seen({ sources: [] }))).toEqual([
      ['info: source found'],
      [],
      ['warn: source is gone'],
    ]);
  });

  test('has problems when they come and when they are gone', () => {
    const bad = seen({ problems: [LOUD, { ...LOUD, option: 'BACKUPD_KEEP', severity: 'fatal' }] });
    expect(said(bad, bad, seen())).toEqual([
      [
        'warn: problem with the configuration',
        'error: problem with the configuration',
        'info: source found',
      ],
      [],
      [
        'info: problem with the configuration is gone',
        'info: problem with the configuration is gone',
      ],
    ]);
  });

  test('has Docker that is silent and answers again; no source is gone because of it', () => {
    const silent = seen({ sources: [], docker: SILENT });
    expect(said(seen(), silent, silent, seen(), silent, seen({ sources: [] }))).toEqual([
      ['info: source found'],
      ['error: Docker cannot be asked'],
      [],
      ['info: Docker answers again'],
      ['error: Docker cannot be asked'],
      ['info: Docker answers again', 'warn: source is gone'],
    ]);
  });
});
