import type { RetentionPolicy } from '../../../src/core/job.ts';
import { formatBackupId } from '../../../src/core/layout.ts';
import type { Candidate } from '../../../src/core/retention.ts';

export const DAY_MS = 86_400_000;
export type Rules = Omit<Extract<RetentionPolicy, { all: false }>, 'all'>;

export function policy(rules: Partial<Rules>): RetentionPolicy {
  const none = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, withinMs: 0 };
  return { all: false, ...none, ...rules };
}

let serial = 0;

export function candidate(
  startedAt: string,
  flaw: string | null = null,
  pinned = false,
): Candidate {
  serial = (serial + 1) % 65_536;
  const suffix = serial.toString(16).padStart(4, '0');
  const id = formatBackupId({ startedAt: new Date(startedAt), kind: 'full', suffix });
  return { id, startedAt, good: flaw === null, flaw, pinned, ahead: false, holds: [] };
}
