import axe from 'axe-core';
import type { BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PageReport } from '../../../src/core/page-report.ts';
import { openCatalog } from '../../../src/store/catalog.ts';
import { recordAttempt } from '../../../src/store/attempts.ts';
import { recordSource } from '../../../src/store/known-sources.ts';
import { openStorage } from '../../../src/store/storage.ts';
import { startDaemon, type Daemon } from '../../support/backupd.ts';
import { openBrowser, type TestBrowser } from '../../support/browser.ts';
import { docker } from '../../support/run-process.ts';
import { backupId, commitBackup, sampleJob, temporaryFolder } from '../../support/storage.ts';
import { uniqueName } from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

const SCRIPT = '<script>alert(1)</script>';
const PHONE = { width: 360, height: 740 };
/** The page asks anew every half minute. */
const NEXT_ROUND_MS = 31_000;

/** In the browser: what keeps somebody from using the page. */
const RUN_AXE = `axe
  .run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
  .then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes[0].html))`;

let dir: string;
let daemon: Daemon;
let browser: TestBrowser;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  ({ dir } = stack.use(await temporaryFolder()));
  await addSource('db', 12);
  await addSource('orders', 3);
  await addFailure('orders', `database "${SCRIPT}" is not there`);
  const network = uniqueName('network');
  await docker('network', 'create', '--label', 'backupd-test=1', network);
  stack.defer(async () => {
    await docker('network', 'rm', network);
  });
  daemon = stack.use(
    await startDaemon({
      backups: dir,
      network,
      socket: false,
      user: `${process.getuid?.()}:${process.getgid?.()}`,
      env: { BACKUPD_DISCOVER: 'off', BACKUPD_SHEDULE: SCRIPT },
    }),
  );
  browser = stack.use(await openBrowser(network));
});
afterAll(async () => {
  await stack.disposeAsync();
});

/** A source that was seen once and has backups; its target cannot be asked for, as there is no Docker. */
async function addSource(source: string, backups: number): Promise<void> {
  const storage = await openStorage(dir, {
    namespace: 'demo',
    fallbackNamespace: () => Promise.resolve('demo'),
    access: 'write',
  });
  const catalog = openCatalog(storage);
  for (let number = 0; number < backups; number += 1) {
    await commitBackup(catalog, { source, id: backupId(number) });
  }
  await recordSource(dir, sampleJob({ source }));
}

async function addFailure(source: string, message: string): Promise<void> {
  const at = new Date().toISOString();
  const failure = { code: 'dump-failed', message, hint: `Make ${SCRIPT} again.` } as const;
  await recordAttempt(dir, source, {
    at,
    finishedAt: at,
    outcome: 'failed',
    trigger: 'manual',
    id: null,
    failure,
  });
}

interface Visit extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the browser complained of, and every address that it asked for. */
  readonly complaints: string[];
  readonly requests: string[];
}

/** Opens the page as somebody would. */
async function visit(options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.browser.newContext(options);
  const page = await context.newPage();
  const [complaints, requests]: string[][] = [[], []];
  page.on('console', (message) => complaints?.push(message.text()));
  page.on('pageerror', (error) => complaints?.push(error.message));
  page.on('dialog', (dialog) => complaints?.push(`dialog ${dialog.message()}`));
  page.on('request', (request) => requests?.push(request.url()));
  await page.goto(origin());
  return {
    page,
    context,
    complaints: complaints ?? [],
    requests: requests ?? [],
    [Symbol.asyncDispose]: async () => context.close(),
  };
}

function origin(): string {
  return `http://${daemon.name}:9321/`;
}

async function sourcesOn(page: Page): Promise<readonly string[]> {
  return page.locator('article h3').allTextContents();
}

describe('the page', () => {
  test('shows the sources, asks nobody else, and nothing in it is forbidden', async () => {
    await using seen = await visit();
    expect(await sourcesOn(seen.page)).toEqual(['db', 'orders']);
    expect(await seen.page.title()).toBe('Something is wrong - backupd demo');
    await seen.page.getByRole('button', { name: 'Copy: Command that restores db' }).waitFor();
    expect(seen.requests.filter((url) => !url.startsWith('data:'))).toEqual([origin()]);
    expect(seen.complaints).toEqual([]);
  });

  test('shows what looks like markup as text', async () => {
    await using seen = await visit();
    const shown = await seen.page.locator('.failures').textContent();
    expect(shown).toContain(`database "${SCRIPT}" is not there`);
    expect(shown).toContain(`Make ${SCRIPT} again.`);
    expect(await seen.page.locator('.failures script').count()).toBe(0);
    expect(await seen.page.locator('script').count()).toBe(1);
    expect(seen.complaints).toEqual([]);
  });

  test('runs no script that somebody gets into it', async () => {
    await using seen = await visit();
    await seen.page.evaluate(`{
      const script = document.createElement('script');
      script.textContent = 'document.title = "taken over"';
      document.body.append(script);
    }`);
    expect(await seen.page.title()).toBe('Something is wrong - backupd demo');
    expect(seen.complaints.join()).toContain('Content Security Policy');
  });

  test('is the same without JavaScript, and has no button that does nothing', async () => {
    await using seen = await visit({ javaScriptEnabled: false });
    expect(await sourcesOn(seen.page)).toEqual(['db', 'orders']);
    const button = seen.page.locator('button').first();
    expect(await button.isVisible()).toBe(false);
    expect(await seen.page.locator('article code').first().textContent()).toBe(
      'docker exec -it backupd restore db',
    );
  });

  test('copies a command, also where a browser gives it no clipboard', async () => {
    await using seen = await visit();
    const button = seen.page.getByRole('button', { name: 'Copy: Command that restores db' });
    await button.click();
    await seen.page.getByText('Copied').waitFor();
    expect(await seen.page.evaluate('document.getSelection().toString()')).toBe(
      'docker exec -it backupd restore db',
    );
  });

  test('refreshes itself, and keeps what has the focus', async () => {
    const context = await browser.browser.newContext();
    await using _closed = { [Symbol.asyncDispose]: async () => context.close() };
    const page = await context.newPage();
    await page.clock.install();
    await page.goto(origin());
    await page.getByRole('button', { name: 'Copy: Command that restores db' }).focus();
    await addSource('added', 1);
    expect(await sourcesOn(page)).toEqual(['db', 'orders']);
    await page.clock.runFor(NEXT_ROUND_MS);
    await waitFor('source on the page', async () => (await sourcesOn(page)).includes('added'));
    await page.getByRole('button', { name: 'Copy: Command that restores added' }).waitFor();
    expect(await page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe(
      'Copy: Command that restores db',
    );
  });

  test.each([
    ['light', null],
    ['dark', null],
    ['light', PHONE],
    ['dark', PHONE],
  ] as const)('can be used by everybody: %s, %o', async (colorScheme, viewport) => {
    await using seen = await visit({ colorScheme, ...(viewport === null ? {} : { viewport }) });
    await seen.page.evaluate(axe.source);
    const violations = await seen.page.evaluate(RUN_AXE);
    expect(violations).toEqual([]);
    const wider = await seen.page.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    );
    expect(wider).toBe(0);
  });
});

describe('the port', () => {
  test('gives the page as JSON: that of status, and more', async () => {
    const status = await daemon.cli(['status', '--json']);
    const known = JSON.parse(status.stdout) as PageReport;
    const answer = await daemon.get('/api/status');
    expect(answer.headers.get('content-type')).toBe('application/json');
    const report = (await answer.json()) as PageReport;
    expect(Object.keys(report)).toEqual(expect.arrayContaining(Object.keys(known)));
    expect(report.healthy).toBe(known.healthy);
    expect(report.sources.map(({ source, state }) => [source, state])).toEqual(
      known.sources.map(({ source, state }) => [source, state]),
    );
    expect(report.failures[0]).toMatchObject({ source: 'orders', code: 'dump-failed' });
  });

  test('forbids what it does not need, and repeats nothing of a request', async () => {
    const address = await docker('port', daemon.name, '9321/tcp');
    const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'gopher' };
    for (const path of ['/', '/api/status', '/healthz', '/nothing']) {
      const response = await fetch(`http://${address}${path}?evil.example`, { headers });
      const all = `${JSON.stringify([...response.headers])}${await response.text()}`;
      expect(all).not.toMatch(/evil|gopher/);
      expect(all).not.toContain(address);
      expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; /);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  test.each(['POST', 'PUT', 'DELETE'])('takes no %s', async (method) => {
    const address = await docker('port', daemon.name, '9321/tcp');
    expect((await fetch(`http://${address}/`, { method })).status).toBe(405);
  });
});

test('a page whose daemon is gone says so, and goes on when it is back', async () => {
  const context = await browser.browser.newContext();
  await using _closed = { [Symbol.asyncDispose]: async () => context.close() };
  const page = await context.newPage();
  await page.clock.install();
  await page.goto(origin());
  await docker('stop', daemon.name);
  await page.clock.runFor(NEXT_ROUND_MS);
  await page.getByText('backupd does not answer. What is shown here is of').waitFor();
  await docker('start', daemon.name);
  await waitFor('answer from the daemon', async () => {
    await page.clock.runFor(NEXT_ROUND_MS);
    return (await page.locator('#stale').textContent()) === '';
  });
  expect(await sourcesOn(page)).toContain('db');
});
