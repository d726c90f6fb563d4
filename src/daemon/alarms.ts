import { findIncidents } from '../core/find-incidents.ts';
import { configuredChannels } from '../core/notify-settings.ts';
import { observeStanding } from '../jobs/observe-standing.ts';
import { alarm } from './alarm.ts';
import { NOTHING_SEEN } from './look.ts';
import { attempt, type Loops } from './loops.ts';
import { teller, type Teller } from './teller.ts';

/** What goes wrong in that time is told in one message. */
const LOOK_EVERY_MS = 10_000;
/** How long the first look at the containers is waited for. */
const FIRST_LOOK_MS = 60_000;

/**
 * Tells people what is wrong and what is over, until the signal aborts: made from what is recorded, so commands on the
 * side are told of as well. No backup ever waits for it.
 */
export async function keepAlarms(loops: Loops, signal: AbortSignal): Promise<void> {
  const { app, log } = loops;
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
    const now = new Date();
    const standing = await observeStanding(app, loops.seen, now);
    const incidents = findIncidents(standing, now.getTime());
    for (const each of tellers) {
      each.hear({ report: standing.report, incidents });
    }
  }

  const pause = alarm();
  while (!signal.aborted) {
    await attempt(loops, 'alarms not looked at', look, signal);
    await pause.sleep(LOOK_EVERY_MS, signal);
  }
  await Promise.all(tellers.map((each) => each.idle()));
}
