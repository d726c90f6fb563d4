import { access, constants } from 'node:fs/promises';
import { BackupdError, toFailure } from '../core/errors.ts';
import type { App, Discovery } from '../jobs/context.ts';
import { listChannels } from '../jobs/channel-status.ts';
import { listDestinations } from '../jobs/destination-status.ts';
import { buildPageReport } from '../jobs/page-report.ts';
import { collectProblems, listStatuses } from '../jobs/status.ts';
import type { Metrics } from '../listeners/metrics.ts';
import { plainText, type Answer, type Routes } from './http.ts';
import type { Loops } from './loops.ts';

/** How long Docker may take to say that it is there. */
const PING_TIMEOUT_MS = 5000;
/** A record and the journal of a restore take less. */
const LEAST_FREE_BYTES = 64 * 1024;

/** What the daemon answers over HTTP. */
export function daemonRoutes(
  app: App,
  metrics: Metrics,
  /** What was found last, and how the own container is called; a request asks nobody. */
  last: () => Pick<Loops, 'seen' | 'ownName'>,
): Routes {
  return {
    '/': () => statusPage(app, last()),
    '/api/status': () => statusDocument(app, last()),
    '/metrics': () => scrape(app, metrics, last().seen),
    '/healthz': async () => Promise.resolve(plainText(200, 'ok')),
    '/readyz': () => readiness(app),
  };
}

async function statusPage(app: App, last: Pick<Loops, 'seen' | 'ownName'>): Promise<Answer> {
  // Nobody may ever look at it.
  const { PAGE_POLICY, renderPage } = await import('./page/page.ts');
  const body = renderPage(await buildPageReport(app, last.seen, last.ownName, new Date()));
  return { status: 200, contentType: 'text/html; charset=utf-8', body, policy: PAGE_POLICY };
}

async function statusDocument(app: App, last: Pick<Loops, 'seen' | 'ownName'>): Promise<Answer> {
  const report = await buildPageReport(app, last.seen, last.ownName, new Date());
  return { status: 200, contentType: 'application/json', body: `${JSON.stringify(report)}\n` };
}

async function scrape(app: App, metrics: Metrics, discovery: Discovery): Promise<Answer> {
  const now = new Date();
  const sources = await listStatuses(app, discovery, now);
  const body = await metrics.render({
    sources,
    destinations: await listDestinations(app, sources, now),
    channels: await listChannels(app),
    configProblems: collectProblems(app, discovery).length,
    disk: await app.context.storage.space(),
  });
  return { status: 200, contentType: metrics.contentType, body };
}

/** Ready is who could make a backup now: Docker answers and the directory can be written. */
async function readiness(app: App): Promise<Answer> {
  const reasons = [
    await reasonOf(() => app.ping(AbortSignal.timeout(PING_TIMEOUT_MS))),
    await reasonOf(() => access(app.context.storage.dir, constants.R_OK | constants.W_OK)),
    await reasonOf(() => checkFree(app)),
  ].filter((reason) => reason !== null);
  return reasons.length === 0 ? plainText(200, 'ok') : plainText(503, reasons.join('\n'));
}

/** Rights do not tell of a disk on which there is no room for a single record. */
async function checkFree({ context: { storage } }: App): Promise<void> {
  const { freeBytes } = await storage.space();
  if (freeBytes < LEAST_FREE_BYTES) {
    throw new BackupdError('no-space', `${storage.dir} is full: ${freeBytes} bytes are free`);
  }
}

async function reasonOf(check: () => Promise<unknown>): Promise<string | null> {
  try {
    await check();
    return null;
  } catch (error) {
    return toFailure(error).message;
  }
}
