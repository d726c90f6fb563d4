import { toFailure } from '../core/errors.ts';
import { findStorageTrouble } from '../core/find-around.ts';
import { findIncidents } from '../core/find-incidents.ts';
import { ALARM_EVENTS } from '../core/incident.ts';
import { configuredChannels } from '../core/notify-settings.ts';
import type { Heard } from '../core/pings.ts';
import type { App, Discovery } from '../jobs/context.ts';
import { observeStanding } from '../jobs/observe-standing.ts';
import { alarm } from './alarm.ts';
import { NOTHING_SEEN } from './look.ts';
import { attempt, type Loops } from './loops.ts';
import { teller, type Teller } from './teller.ts';

/** What goes wrong in that time is told in one message. With tens of thousands of backups it is longer. */
const LOOK_EVERY_MS = { least: 10_000, most: 60_000 } as const;
/** A look takes no more of the time than one part in so many. */
const SHARE = 50;
/** How often every file of every backup is looked at. */
const PROBLEMS_EVERY_MS = 300_000;
/** How long the first look at the containers is waited for. */
const FIRST_LOOK_MS = 60_000;

/**
 * Tells people what is wrong and what is over, until the signal aborts: made from what is recorded, so commands on the
 * side are told of as well. No backup ever waits for it.
 */
export async function keepAlarms(loops: Loops, signal: AbortSignal): Promise<void> {
  const { log } = loops;
  const app = withRareProblems(loops.app);
  const { storage } = app.context;
  const { on } = app.settings.notify;
  if (configuredChannels(app.settings.notify).length === 0) {
    return;
  }
  const tellers: Teller[] = [];
  const since = performance.now();
  async function look(): Promise<void> {
    if (loops.seen === NOTHING_SEEN && performance.now() - since < FIRST_LOOK_MS) {
      return;
    }
    if (tellers.length === 0) {
      const channels = await app.openChannels();
      const common = { on, namespace: storage.namespace, dir: storage.dir, log };
      tellers.push(...channels.map((channel) => teller({ channel, ...common }, signal)));
    }
    const heard = await listen(app, loops.seen);
    for (const each of tellers) {
      each.hear(heard);
    }
  }

  const pause = alarm();
  while (!signal.aborted) {
    const beganMs = performance.now();
    await attempt(loops, 'alarms not looked at', look, signal);
    const tookMs = performance.now() - beganMs;
    const { least, most } = LOOK_EVERY_MS;
    await pause.sleep(Math.min(most, Math.max(least, tookMs * SHARE)), signal);
  }
  await Promise.all(tellers.map((each) => each.idle()));
}

/** The app, with what is damaged or foreign in its directory as it was found some minutes ago. */
function withRareProblems(app: App): App {
  const { catalog } = app.context;
  let found: Awaited<ReturnType<typeof catalog.problems>> = [];
  let atMs = -Infinity;

  async function problems(): Promise<typeof found> {
    if (performance.now() - atMs >= PROBLEMS_EVERY_MS) {
      found = await catalog.problems();
      atMs = performance.now();
    }
    return found;
  }

  return { ...app, context: { ...app.context, catalog: { ...catalog, problems } } };
}

const NOTHING_KNOWN = { healthy: false, sources: [], destinations: [], problems: [] };

async function listen(app: App, seen: Discovery): Promise<Heard> {
  const now = new Date();
  try {
    const standing = await observeStanding(app, seen, now);
    const incidents = findIncidents(standing, now.getTime());
    // Labels are not seen where Docker is silent.
    const unseen = standing.docker === null ? [] : (['config'] as const);
    return { report: standing.report, incidents, unseen };
  } catch (error) {
    const failure = toFailure(error);
    if (failure.code !== 'storage-unavailable') {
      throw error;
    }
    const incidents = [findStorageTrouble(failure)];
    return { report: NOTHING_KNOWN, incidents, unseen: ALARM_EVENTS };
  }
}
