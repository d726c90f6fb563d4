import type { Job } from '../core/job.ts';
import type { Engine } from '../core/target.ts';
import type { Candidate } from './labels.ts';
import type { LoadedConfig } from './load.ts';
import type { SourceValues } from './source-schema.ts';

/** A source that nothing but its name and container is said of. */
export function plainJob(
  config: LoadedConfig,
  about: Pick<Candidate, 'name' | 'target'> & { readonly engine: Engine },
): Job {
  return toJob(about, { engine: about.engine }, config);
}

/** What holds of a source of which nothing is said, and no global value stands for it. */
const UNSAID = {
  engine: null,
  databases: null,
  exclude: [],
  user: null,
  passwordFile: null,
  stop: [],
  pause: [],
  before: null,
  after: null,
  drillCheck: null,
} as const;

export function toJob(
  { name, target }: Pick<Candidate, 'name' | 'target'>,
  said: SourceValues,
  { values }: LoadedConfig,
): Job {
  const own = { ...UNSAID, ...said };
  return {
    source: name,
    engine: target.by === 'volume' ? 'volume' : own.engine,
    target,
    databases: own.databases,
    exclude: own.exclude,
    user: own.user,
    passwordFile: own.passwordFile,
    stop: own.stop,
    pause: own.pause,
    before: own.before,
    after: own.after,
    schedule: {
      patterns: own.schedule ?? values.schedule,
      timezone: values.timezone,
      catchUpMs: values.catchUp,
    },
    keep: own.keep ?? values.keep,
    maxAge: own.maxAge ?? values.maxAge,
    drill: {
      patterns: own.drill ?? values.drillSchedule,
      timezone: values.timezone,
      catchUpMs: values.catchUp,
    },
    drillCheck: own.drillCheck,
    rpoMs: own.rpo ?? values.rpo,
    rtoMs: own.rto ?? values.rto,
    timeoutMs: values.timeout,
    facts: own.facts ?? values.facts,
    compression: { ...values.compression, where: values.compressIn },
  };
}
