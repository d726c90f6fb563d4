import { describe, expect, test } from 'vitest';
import { asIs, html, type Html } from '../../../src/daemon/page/html.ts';
import { PAGE_POLICY, renderPage } from '../../../src/daemon/page/page.ts';
import {
  before,
  historyOf,
  pageDestination,
  pageReport,
  pageSource,
} from '../../support/page-report.ts';

const SCRIPT = '<script>alert(1)</script>';
const ATTRIBUTE = '" onload="alert(1)';
const MINUTE_MS = 60_000;

describe('a template', () => {
  test('escapes what is put into it, as content and in attributes, also in lists', () => {
    const made = html`<b title="${ATTRIBUTE}">${[SCRIPT, "it's", 5, null]}</b>`;
    expect(made.text).toBe(
      '<b title="&quot; onload=&quot;alert(1)">&lt;script&gt;alert(1)&lt;/script&gt;it&#39;s5</b>',
    );
  });

  test('takes HTML of its own, and nothing that looks like it', () => {
    const forged = { text: SCRIPT } as Html;
    expect(html`${html`<b>${'&'}</b>`}${asIs('<i>')}`.text).toBe('<b>&amp;</b><i>');
    expect(html`${forged}`.text).not.toContain('<script');
  });

  test('writes out what hides or turns text', () => {
    expect(html`${'a\u202Eb\u001Bc\nd'}`.text).toBe('a\\u{202e}b\\x1bc\\nd');
  });
});

describe('the page', () => {
  test('says that all is well, and shows everything of a source', () => {
    const copy = {
      destination: 's3',
      state: 'pending',
      at: before(5 * 60 * MINUTE_MS),
      pendingBackups: 2,
      pendingBytes: 1,
      oldestPendingAt: null,
    } as const;
    const text = textOf(
      renderPage(
        pageReport({
          sources: [pageSource({ copies: [copy], previous: ['shop_before_20261122t020000z'] })],
          destinations: [pageDestination()],
        }),
      ),
    );
    for (const words of [
      'All is well 1 source',
      'db postgres ok',
      'Last good 9h 12m ago 28 Nov, 03:02',
      'Size 1.2 GB made in 2m 14s',
      'Next run in 14h 46m 29 Nov, 03:00',
      'Copies here 47 (48.7 GB) s3: pending 5h ago 28 Nov, 07:14, 2 pending',
      '3-2-1 holds',
      'Drill passed 27d ago 1 Nov, 12:14, restored in 48s',
      'Verified 2d ago',
      'Kept shop_before_20261122t020000z, by a restore: restore db --undo swaps back',
      'docker exec -it backupd restore db',
      's3 shop-backups/offsite at s3.eu-central-1.amazonaws.com ok 5h ago',
      'backupd 0.1.0 Namespace: shop Free here: 310.0 GB of 500.0 GB',
    ]) {
      expect(text).toContain(words);
    }
  });

  test('says what is wrong first, with its hint', () => {
    const page = renderPage(
      pageReport({
        healthy: false,
        sources: [
          pageSource({ source: 'alpha' }),
          pageSource({
            source: 'beta',
            state: 'failed',
            healthy: false,
            failing: {
              at: before(MINUTE_MS),
              since: before(120 * MINUTE_MS),
              retryAt: before(-5 * MINUTE_MS),
              code: 'dump-failed',
              message: 'pg_dump ended with 1',
              hint: 'Look at its words.',
            },
          }),
        ],
        problems: [{ code: 'x', message: 'the disk is old', hint: 'Buy another one.' }],
        failures: [
          {
            source: 'beta',
            at: before(MINUTE_MS),
            since: before(120 * MINUTE_MS),
            count: 3,
            what: 'backup',
            code: 'dump-failed',
            message: 'pg_dump ended with 1',
            hint: 'Look at its words.',
            over: false,
          },
        ],
      }),
    );
    const text = textOf(page);
    for (const words of [
      'Something is wrong 1 of 2 sources not well, 1 problem',
      'the disk is old Buy another one.',
      'Failed 1m ago 28 Nov, 12:13, tried again in 5m 28 Nov, 12:19: pg_dump ended with 1 Look at its words.',
      'beta backup dump-failed not recovered 1m ago 28 Nov, 12:13, 3 times since 28 Nov, 10:14',
      'Look at its words.',
    ]) {
      expect(text).toContain(words);
    }
    expect(page.indexOf('id="source-beta"')).toBeLessThan(page.indexOf('id="source-alpha"'));
  });

  test('says why a drill failed or was not tried, and whether targets are met', () => {
    const { lastDrill } = pageSource();
    const message = 'rows of public.orders: 99 instead of 100';
    const failure = { code: 'verification-failed', message, hint: null } as const;
    const skipped = {
      at: before(MINUTE_MS),
      failure: { code: 'no-space', message: 'it needs 9 GB', hint: null },
    } as const;
    const text = textOf(
      renderPage(
        pageReport({
          sources: [
            pageSource({
              lastDrill: lastDrill && { ...lastDrill, ok: false, recoveryMs: null, failure },
              drill: { lastSuccessAt: null, skipped, nextRunAt: null, maxAgeSeconds: null },
              recovery: {
                rpo: { targetSeconds: 86_400, measuredSeconds: 3600, met: true },
                rto: { targetSeconds: 60, measuredSeconds: 90, met: false },
              },
            }),
          ],
        }),
      ),
    );
    for (const words of [
      `Drill failed 27d ago 1 Nov, 12:14 ${message}`,
      'Not tried 1m ago 28 Nov, 12:13: it needs 9 GB',
      'Targets RPO met 1h, at most 1d RTO missed 1m 30s, at most 1m',
    ]) {
      expect(text).toContain(words);
    }
  });

  test('says where a drill passed and nothing was compared', () => {
    const { lastDrill } = pageSource();
    const source = pageSource({ lastDrill: lastDrill && { ...lastDrill, integrity: null } });
    const text = textOf(renderPage(pageReport({ sources: [source] })));
    expect(text).toContain('Drill passed 27d ago 1 Nov, 12:14, restored in 48s, nothing compared');
  });

  test('says who is at work', () => {
    const text = textOf(
      renderPage(
        pageReport({
          running: [
            { source: 'db', destination: null, command: 'daemon', since: before(MINUTE_MS) },
            { source: null, destination: 's3', command: 'upload s3', since: before(5000) },
          ],
        }),
      ),
    );
    expect(text).toContain('db by its schedule, began 1m ago');
    expect(text).toContain('s3 by “backupd upload s3”, began 5s ago');
  });

  test('shows what to do where there is nothing yet, and not where nobody knows', () => {
    const problem = { message: 'no', hint: null };
    const empty = pageReport({ sources: [], problems: [{ code: 'config-invalid', ...problem }] });
    expect(textOf(renderPage(empty))).toContain("backupd.enable: 'true'");
    const silent = pageReport({
      sources: [],
      problems: [{ code: 'target-unavailable', ...problem }],
    });
    expect(textOf(renderPage(silent))).not.toContain('backupd.enable');
  });

  test('draws sizes from zero, and tells of them in words', () => {
    const history = historyOf(4, 0).map((entry, index) => ({
      ...entry,
      sizeBytes: [1000, 500, 10, 2000][index] ?? 0,
      good: index !== 2,
    }));
    const page = renderPage(pageReport({ sources: [pageSource({ history })] }));
    expect([...page.matchAll(/height="([\d.]+)"/g)].map(([, height]) => height)).toEqual([
      '16',
      '8',
      '1.5',
      '32',
    ]);
    expect(page).toContain(
      'Sizes of the last 4 backups: 1.0 kB at first, 2.0 kB now, smallest 10 B, largest 2.0 kB ; 1 suspicious or damaged',
    );
  });

  test('has nothing from the outside that is markup', () => {
    const hostile = `${SCRIPT}${ATTRIBUTE}'`;
    const page = renderPage(
      pageReport({
        namespace: hostile,
        version: hostile,
        healthy: false,
        sources: [
          pageSource({
            source: 'db',
            engine: hostile as 'postgres',
            state: 'failed',
            previous: [hostile],
            restoreCommand: hostile,
            threeTwoOne: { holds: false, missing: [hostile] },
            failing: {
              at: before(0),
              since: before(0),
              retryAt: null,
              code: 'dump-failed',
              message: `database "${hostile}"`,
              hint: hostile,
            },
          }),
        ],
        destinations: [pageDestination({ destination: hostile, place: hostile })],
        problems: [{ code: hostile, message: hostile, hint: hostile }],
        running: [{ source: hostile, destination: hostile, command: hostile, since: before(0) }],
        failures: [
          {
            source: hostile,
            at: before(0),
            since: before(0),
            count: 1,
            what: 'backup',
            code: hostile as 'internal',
            message: hostile,
            hint: hostile,
            over: false,
          },
        ],
      }),
    );
    expect([...page.matchAll(/<script>/g)]).toHaveLength(1);
    expect(page).not.toContain('" onload=');
    expect(textOf(page)).toContain(`database "${SCRIPT}`);
  });

  test('may do nothing but what it needs', () => {
    expect(PAGE_POLICY).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; script-src 'sha256-[\w+/]{43}='; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
  });
});

/** What somebody reads of it, with single spaces. */
function textOf(page: string): string {
  return page
    .replaceAll(/<(style|script)>[^]*?<\/\1>/g, '')
    .replaceAll(/<\/?(?:b|span|time)\b[^>]*>/g, '')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(' ,', ',');
}
