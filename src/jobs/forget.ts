import { BackupdError } from '../core/errors.ts';
import { forgetSource as forgetKnown, knownSources } from '../store/known-sources.ts';
import { removeScheduleState } from '../store/schedule-state.ts';
import type { App } from './context.ts';

/** What is left of a source that was forgotten. */
export interface Forgotten {
  readonly source: string;
  /** Its backups; they age out by retention, the newest good one stays until it is removed by hand. */
  readonly backups: number;
}

/**
 * Forgets a source that is gone for good: it is no longer reported missing.
 * @throws BackupdError `source-not-found`, `usage` where it is still there, `target-unavailable` where Docker cannot say
 */
export async function forgetSource(
  name: string,
  app: App,
  signal: AbortSignal,
): Promise<Forgotten> {
  const { storage, catalog } = app.context;
  const { sources, problems, docker } = await app.discover(signal);
  const isConfigured =
    sources.some(({ job }) => job.source === name) ||
    problems.some(({ source, severity }) => source === name && severity !== 'loud');
  if (isConfigured) {
    throw new BackupdError('usage', `source "${name}" is still configured`, {
      hint: 'Remove its label or its entry in the configuration first; forget is for sources that are gone.',
    });
  }
  const known = (await knownSources(storage.dir)).map((job) => job.source);
  if (!known.includes(name)) {
    throw new BackupdError('source-not-found', `there is no source "${name}" to forget`, {
      hint: `Sources that are remembered: ${known.join(', ') || 'none'}.`,
    });
  }
  if (docker !== null) {
    throw new BackupdError(
      docker.code,
      `whether source "${name}" is gone cannot be told: ${docker.message}`,
      docker.hint === null ? {} : { hint: docker.hint },
    );
  }
  await forgetKnown(storage.dir, name);
  await removeScheduleState(storage.dir, name);
  return { source: name, backups: (await catalog.entries(name)).length };
}
