import type { Followed, News } from '../../src/core/alarm-record.ts';
import { OF_NOTHING, type Incident } from '../../src/core/incident.ts';

/** A backup of this source that failed at two in the morning. */
export function failure(source: string, changes: Partial<Incident> = {}): Incident {
  return {
    ...OF_NOTHING,
    event: 'failure',
    source,
    about: 'backup',
    title: `backup of ${source} failed`,
    overTitle: `backups of ${source} succeed again`,
    since: '2026-11-28T02:00:00.000Z',
    code: 'target-unavailable',
    message: `container "shop-${source}-1" does not run`,
    hint: `Start it: "docker start shop-${source}-1".`,
    lastSuccessAt: '2026-11-27T02:01:00.000Z',
    ...changes,
  };
}

/** One news of it. */
export function news(
  source: string,
  tells: News['tells'] = 'open',
  changes: Partial<Followed> = {},
): News {
  const incident: Followed = {
    ...failure(source),
    since: '2026-11-28T02:00:00.000Z',
    seenAt: '2026-11-28T02:00:10.000Z',
    overAt: tells === 'open' ? null : '2026-11-28T05:00:00.000Z',
    isTold: tells === 'over',
    ...changes,
  };
  return { incident, tells };
}
