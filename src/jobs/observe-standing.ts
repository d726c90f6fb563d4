import type { Standing } from '../core/find-around.ts';
import { SPACE_MARGIN_BYTES } from './backup.ts';
import { listChannels } from './channel-status.ts';
import type { App, Discovery } from './context.ts';
import { buildStatus, collectProblems } from './status.ts';

/** All that alarms are made from, from what is on disk and what the last look at Docker found; asks nobody. */
export async function observeStanding(
  app: Pick<App, 'problems' | 'context' | 'settings' | 'storageFailure'>,
  discovery: Discovery,
  now: Date,
): Promise<Standing> {
  const { storage } = app.context;
  const report = await buildStatus(app, discovery, now);
  const { freeBytes } = await storage.space();
  const newestBytes = report.sources.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  return {
    report,
    problems: collectProblems(app, discovery),
    docker: discovery.docker,
    disk: { dir: storage.dir, freeBytes, neededBytes: newestBytes + SPACE_MARGIN_BYTES },
    channels: await listChannels(app),
  };
}
