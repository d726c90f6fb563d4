import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Job } from '../core/job.ts';
import { isSourceName } from '../core/layout.ts';
import { readJson, removeFile } from './atomic-file.ts';
import { readStates, statePath, writeState } from './state-file.ts';

/** Remembers a source for the time when it is gone; writes only what changed. */
export async function recordSource(dir: string, job: Job): Promise<void> {
  const stored = await readJson(statePath(dir, 'sources', job.source));
  // Compared as JSON keeps it: what it leaves out would differ for ever.
  const plain: unknown = JSON.parse(JSON.stringify(job));
  if (stored.state !== 'present' || !isDeepStrictEqual(stored.value, plain)) {
    await writeState(dir, { kind: 'sources', name: [job.source] }, plain);
  }
}

/** With what an earlier version did not know of a source. */
function complete(job: Partial<Job> & Pick<Job, 'schedule'>): Job {
  const unknown = { drillCheck: null, rpoMs: null, rtoMs: null };
  return { ...unknown, drill: { ...job.schedule, patterns: [] }, ...job } as Job;
}

/** Every source that was ever seen and not forgotten, by name. */
export async function knownSources(dir: string): Promise<readonly Job[]> {
  const values = await readStates(dirname(statePath(dir, 'sources', 'any')));
  return values
    .filter(isJob)
    .map((job) => complete(job))
    .toSorted((one, other) => (one.source < other.source ? -1 : 1));
}

/** Forgets a source, no more than that: its backups stay. */
export async function forgetSource(dir: string, source: string): Promise<void> {
  await removeFile(statePath(dir, 'sources', source));
}

function isJob(value: unknown): value is Job {
  const job = value as Partial<Job> | null;
  return (
    typeof job?.source === 'string' &&
    isSourceName(job.source) &&
    typeof job.keep?.all === 'boolean' &&
    Array.isArray(job.schedule?.patterns)
  );
}
