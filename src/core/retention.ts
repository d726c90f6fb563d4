import { formatDuration } from './duration.ts';
import type { RetentionPolicy } from './job.ts';
import type { BackupId } from './layout.ts';
import { isDamaged, isGood, isPinned, type CatalogEntry } from './catalog-entry.ts';
import { aheadMs } from './newest.ts';

/** What retention looks at of a backup. */
export interface Candidate {
  readonly id: BackupId;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** Whether it can be `latest`; one that cannot never takes the place of one that can. */
  readonly good: boolean;
  /** Why it is not good, in a word; null where it is. */
  readonly flaw: string | null;
  readonly pinned: boolean;
  /** Dated in the future: a clock was wrong when it was made, or is wrong now. */
  readonly ahead: boolean;
  /** Why it stays whatever the policy, beside pins. */
  readonly holds: readonly string[];
}

/** Keep or remove, with every reason to keep it, or why there is none. */
export interface Verdict {
  readonly id: BackupId;
  readonly keep: boolean;
  readonly reasons: readonly string[];
}

/** What retention looks at of a backup in the catalog. */
export function toCandidate(entry: CatalogEntry, nowMs: number): Candidate {
  const { id, startedAt, kind, suspicious } = entry.manifest;
  const flaw = isDamaged(entry) ? 'damaged' : suspicious ? 'suspicious' : kind;
  const good = isGood(entry);
  const ahead = aheadMs(startedAt, nowMs) > 0;
  return {
    id,
    startedAt,
    good,
    flaw: good ? null : flaw,
    pinned: isPinned(entry),
    ahead,
    holds: [],
  };
}

/**
 * Which backups of one source stay; newest first, whatever the order of the entries.
 *
 * The newest good backup of each slot is kept, as many slots back as the policy counts; slots without a backup do not
 * count, so a source that stopped keeps what it has. A backup that is not good holds no slot of theirs: it stays for as
 * long as a good one of its age would, at most as many of them as the rule counts. The last good backup, the newest of
 * all and those that a person pinned always stay. One that is dated in the future takes no part until its time has come:
 * it must not make those of now look old.
 */
export function decideRetention(
  entries: readonly Candidate[],
  policy: RetentionPolicy,
  timezone: string,
): readonly Verdict[] {
  const newestFirst = entries.toSorted(
    (one, other) =>
      Date.parse(other.startedAt) - Date.parse(one.startedAt) || (one.id < other.id ? 1 : -1),
  );
  const reasons = new Map<BackupId, string[]>(newestFirst.map(({ id }) => [id, []]));

  function keep(id: BackupId, reason: string): void {
    reasons.get(id)?.push(reason);
  }

  for (const { id } of newestFirst.filter(({ ahead }) => ahead)) {
    keep(id, 'dated in the future');
  }
  const counted = newestFirst.filter(({ ahead }) => !ahead);
  keepAlways(counted, keep);
  if (policy.all) {
    for (const { id } of counted) {
      keep(id, 'everything is kept');
    }
  } else {
    keepWithin(counted, policy.withinMs, keep);
    for (const rule of slotRules(policy, slotsIn(timezone))) {
      keepSlots(counted, rule, keep);
    }
  }
  return newestFirst.map(({ id }) => {
    const why = reasons.get(id) ?? [];
    return { id, keep: why.length > 0, reasons: why.length > 0 ? why : ['nothing keeps it'] };
  });
}

/** Whether so much would go that a person has to say it is meant: more than half, and more than three. */
export function isMassRemoval(verdicts: readonly Verdict[]): boolean {
  const removed = verdicts.filter((verdict) => !verdict.keep).length;
  return removed > 3 && removed * 2 > verdicts.length;
}

type Keep = (id: BackupId, reason: string) => void;

function keepAlways(newestFirst: readonly Candidate[], keep: Keep): void {
  const lastGood = newestFirst.find((candidate) => candidate.good);
  const [newest] = newestFirst;
  for (const { id, pinned, holds } of newestFirst) {
    if (id === lastGood?.id) {
      keep(id, 'last good backup');
    }
    if (id === newest?.id && !newest.good) {
      keep(id, because(newest, 'newest backup'));
    }
    if (pinned) {
      keep(id, 'pinned');
    }
    for (const hold of holds) {
      keep(id, hold);
    }
  }
}

/** Counted back from the newest good backup, not from now: a source that stopped must not lose what it has. */
function keepWithin(newestFirst: readonly Candidate[], withinMs: number, keep: Keep): void {
  const end = newestFirst.find((candidate) => candidate.good) ?? newestFirst[0];
  if (end === undefined || withinMs <= 0) {
    return;
  }
  const oldestMs = Date.parse(end.startedAt) - withinMs;
  for (const candidate of newestFirst) {
    if (Date.parse(candidate.startedAt) >= oldestMs) {
      keep(candidate.id, because(candidate, `within ${formatDuration(withinMs)}`));
    }
  }
}

interface SlotRule {
  readonly count: number;
  /** Two backups with the same slot compete. */
  readonly slot: (candidate: Candidate) => string;
  readonly reason: (slot: string) => string;
}

function keepSlots(newestFirst: readonly Candidate[], rule: SlotRule, keep: Keep): void {
  const held = new Set<string>();
  const heldByFlawed = new Set<string>();
  for (const candidate of newestFirst) {
    if (candidate.good && held.size >= rule.count) {
      continue;
    }
    const slot = rule.slot(candidate);
    const own = candidate.good ? held : heldByFlawed;
    const isOpen = held.size < rule.count || (held.has(slot) && !candidate.good);
    if (isOpen && own.size < rule.count && !own.has(slot)) {
      own.add(slot);
      keep(candidate.id, because(candidate, rule.reason(slot)));
    }
  }
}

function because({ flaw }: Candidate, reason: string): string {
  return flaw === null ? reason : `${reason}, ${flaw}`;
}

/** The slots of an instant by the clock on the wall. */
interface Slots {
  readonly hour: string;
  readonly day: string;
  readonly week: string;
  readonly month: string;
  readonly year: string;
}

function slotRules(
  policy: RetentionPolicy & { readonly all: false },
  slotsAt: (instant: string) => Slots,
): readonly SlotRule[] {
  function rule(name: string, count: number, unit: keyof Slots): SlotRule {
    return {
      count,
      slot: (candidate) => slotsAt(candidate.startedAt)[unit],
      reason: (slot) => `${name} (${slot})`,
    };
  }
  const last: SlotRule = {
    count: policy.last,
    slot: (candidate) => candidate.id,
    reason: () => `last ${policy.last}`,
  };
  return [
    last,
    rule('hourly', policy.hourly, 'hour'),
    rule('daily', policy.daily, 'day'),
    rule('weekly', policy.weekly, 'week'),
    rule('monthly', policy.monthly, 'month'),
    rule('yearly', policy.yearly, 'year'),
  ].filter(({ count }) => count > 0);
}

/** Slots never change, and are dear to work out: those of each time zone by instant. */
const KNOWN = new Map<string, (instant: string) => Slots>();
const MOST_KNOWN = 20_000;

function slotsIn(timezone: string): (instant: string) => Slots {
  const slotsAt = KNOWN.get(timezone) ?? rememberingSlots(timezone);
  KNOWN.set(timezone, slotsAt);
  return slotsAt;
}

function rememberingSlots(timezone: string): (instant: string) => Slots {
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    timeZoneName: 'longOffset',
  });
  const known = new Map<string, Slots>();
  return (instant) => {
    const slots = known.get(instant) ?? readSlots(clock, instant);
    if (known.size >= MOST_KNOWN) {
      known.clear();
    }
    known.set(instant, slots);
    return slots;
  };
}

function readSlots(clock: Intl.DateTimeFormat, instant: string): Slots {
  const parts = new Map(
    clock.formatToParts(Date.parse(instant)).map(({ type, value }) => [type, value]),
  );
  const [year, month, date] = (['year', 'month', 'day'] as const).map(
    (type) => parts.get(type) ?? '',
  );
  const day = `${year}-${month}-${date}`;
  return {
    // The offset keeps the two hours apart that bear one name when the clock is set back.
    hour: `${day} ${parts.get('hour')}h${parts.get('timeZoneName')?.replace('GMT', '')}`,
    day,
    week: isoWeek(day),
    month: `${year}-${month}`,
    year: `${year}`,
  };
}

const DAY_MS = 86_400_000;

/** `2026-W47`: a week belongs to the year that has its Thursday. */
function isoWeek(day: string): string {
  const dayMs = Date.parse(`${day}T00:00:00Z`);
  const weekday = (new Date(dayMs).getUTCDay() + 6) % 7;
  const thursdayMs = dayMs + (3 - weekday) * DAY_MS;
  const year = new Date(thursdayMs).getUTCFullYear();
  const week = Math.floor((thursdayMs - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}
