import type { Logger } from 'pino';
import type { ConfigProblem } from '../core/discovery.ts';
import type { App, Discovery } from '../jobs/context.ts';
import { collectProblems } from '../jobs/status.ts';

/** What is known before the first look. */
export const NOTHING_SEEN: Discovery = {
  sources: [],
  problems: [],
  docker: { code: 'target-unavailable', message: 'Docker was not asked yet', hint: null },
};

/** What a look found; with the sources known before where Docker is silent, since nobody knows that they are gone. */
export function keepKnown(before: Discovery, found: Discovery): Discovery {
  if (found.docker === null) {
    return found;
  }
  const there = new Set(found.sources.map(({ job }) => job.source));
  const unseen = before.sources.filter(({ job }) => !there.has(job.source));
  return { ...found, sources: [...found.sources, ...unseen] };
}

/** Says in the log what changed from one look to the next: what stays as it is has been said. */
export function reportChanges(
  app: Pick<App, 'problems'>,
  before: Discovery,
  now: Discovery,
  log: Logger,
): void {
  reportDocker(before, now, log);
  const [knownProblems, problems] = [
    before === NOTHING_SEEN ? new Map<string, ConfigProblem>() : problemsByText(app, before),
    problemsByText(app, now),
  ];
  for (const [text, problem] of problems) {
    if (!knownProblems.has(text)) {
      const { source, option, message, hint, severity } = problem;
      log[severity === 'loud' ? 'warn' : 'error'](
        { source, option, problem: message, hint },
        'problem with the configuration',
      );
    }
  }
  for (const [text, { source, option }] of knownProblems) {
    if (!problems.has(text)) {
      log.info({ source, option }, 'problem with the configuration is gone');
    }
  }
  reportSources(before, now, log);
}

function reportDocker(before: Discovery, now: Discovery, log: Logger): void {
  if (now.docker !== null && now.docker.message !== before.docker?.message) {
    const { code, message, hint } = now.docker;
    log.error({ code, error: message, hint }, 'Docker cannot be asked');
  } else if (now.docker === null && before.docker !== null && before !== NOTHING_SEEN) {
    log.info('Docker answers again');
  }
}

function reportSources(before: Discovery, now: Discovery, log: Logger): void {
  const known = new Map(before.sources.map(({ job }) => [job.source, job]));
  for (const { job } of now.sources) {
    if (!known.delete(job.source)) {
      const { source, engine, target } = job;
      const where =
        target.by === 'volume' ? { volume: target.volume } : { container: target.container };
      log.info({ source, engine, ...where }, 'source found');
    }
  }
  for (const source of known.keys()) {
    log.warn({ source }, 'source is gone');
  }
}

function problemsByText(
  app: Pick<App, 'problems'>,
  discovery: Discovery,
): ReadonlyMap<string, ConfigProblem> {
  return new Map(
    collectProblems(app, discovery).map((problem) => [JSON.stringify(problem), problem]),
  );
}
