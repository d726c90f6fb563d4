import { BackupdError } from '../core/errors.ts';
import type { Job, RetentionPolicy } from '../core/job.ts';
import { knownSources } from '../store/known-sources.ts';
import type { App, Discovery } from './context.ts';

/** What retention goes by for one source. */
export interface Rules {
  readonly keep: RetentionPolicy;
  /** IANA name. */
  readonly timezone: string;
}

/** The rules of all sources, as one look at the configuration and the containers found them. */
export interface RuleBook {
  /** The sources that are configured, or were and are not forgotten. */
  readonly sources: ReadonlySet<string>;
  /** By what a source keeps, or kept when it was seen last. */
  lookUp(source: string): Rules;
  /**
   * The same for whoever removes.
   * @throws BackupdError `config-invalid` where the source's configuration is wrong: a policy with a slip is no decision
   */
  lookUpStrictly(source: string): Rules;
}

type RuleApp = Pick<App, 'problems' | 'settings' | 'context'>;

/** The rules that hold now. Sources that are no longer configured keep by the policy they had last. */
export async function readRules(app: RuleApp, discovery: Discovery): Promise<RuleBook> {
  const known = await knownSources(app.context.storage.dir);
  const jobs = new Map<string, Job>(known.map((job) => [job.source, job]));
  for (const { job } of discovery.sources) {
    jobs.set(job.source, job);
  }

  function lookUp(source: string): Rules {
    const job = jobs.get(source);
    return {
      keep: job?.keep ?? app.settings.keep,
      timezone: job?.schedule.timezone ?? app.settings.timezone,
    };
  }

  return {
    sources: new Set(jobs.keys()),
    lookUp,
    lookUpStrictly(source) {
      const problem = [...app.problems, ...discovery.problems].find(
        (candidate) => candidate.source === source && candidate.severity !== 'loud',
      );
      if (problem !== undefined) {
        throw new BackupdError('config-invalid', `${problem.option}: ${problem.message}`, {
          hint: problem.hint ?? 'Correct it; until then nothing of this source is removed.',
        });
      }
      return lookUp(source);
    },
  };
}
