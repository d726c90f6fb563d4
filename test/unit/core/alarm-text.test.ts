import { expect, test } from 'vitest';
import { describeNews, plainText } from '../../../src/core/alarm-text.ts';
import { news } from '../../support/incidents.ts';

const NOW_MS = Date.parse('2026-11-28T05:00:30Z');

test('says what, since when, the last good one, and what to do', () => {
  expect(describeNews([news('db')], 'shop', NOW_MS)).toEqual({
    subject: '[backupd shop] backup of db failed',
    lines: [
      'What: container "shop-db-1" does not run (target-unavailable)',
      'Since: 2026-11-28 02:00 UTC (3h 30s ago)',
      'Last good backup: 2026-11-27 02:01 UTC (1d 2h ago)',
      'What to do: Start it: "docker start shop-db-1".',
    ],
  });
});

test('says what is over, and how long it was', () => {
  const lastSuccessAt = '2026-11-28T05:00:00.000Z';
  expect(describeNews([news('db', 'over', { lastSuccessAt })], 'shop', NOW_MS)).toEqual({
    subject: '[backupd shop] backups of db succeed again',
    lines: [
      'It was: container "shop-db-1" does not run (target-unavailable)',
      'From 2026-11-28 02:00 UTC to 2026-11-28 05:00 UTC (3h)',
      'Last good backup: 2026-11-28 05:00 UTC (30s ago)',
    ],
  });
  expect(describeNews([news('db', 'both')], 'shop', NOW_MS).subject).toBe(
    '[backupd shop] backup of db failed, and is well again: backups of db succeed again',
  );
});

test('says in a digest how many, and spells twenty out', () => {
  const many = Array.from({ length: 50 }, (_, index) => news(`db${index}`));
  const { subject, lines } = describeNews([...many, news('x', 'over')], 'shop', NOW_MS);
  expect(subject).toBe('[backupd shop] 50 problems, 1 is over');
  expect(lines).toHaveLength(22);
  expect(lines[0]).toBe(
    '- backup of db0 failed: container "shop-db0-1" does not run (target-unavailable), since 2026-11-28 02:00 UTC; last good 2026-11-27 02:01 UTC (1d 2h ago)',
  );
  expect(lines[20]).toBe('- and 31 more');
});

test('names lose line breaks and markup', () => {
  expect(plainText('a\r\nBcc: x\u2028y\u202Ez')).toBe('a Bcc: x y z');
  expect(plainText('<!channel> <b>*shop*</b> `rm` | ~x~ [a](http://e)')).toBe(
    "\u2039!channel\u203A \u2039b\u203A\u2217shop\u2217\u2039/b\u203A 'rm' \u00A6 \u223Cx\u223C [a] (http://e)",
  );
  expect(plainText('x'.repeat(5000)).length).toBeLessThan(700);
});
