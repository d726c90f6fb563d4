import type { Failure } from '../../src/core/errors.ts';
import type { ConfigProblem } from '../../src/core/discovery.ts';
import type { Keys } from '../../src/core/encryption.ts';
import type { RunEvent } from '../../src/core/events.ts';
import type { Job } from '../../src/core/job.ts';
import type { Source } from '../../src/core/source.ts';
import type { App, ConfiguredDestination } from '../../src/jobs/context.ts';
import type { Catalog } from '../../src/store/catalog.ts';
import {
  NO_INSPECTION,
  NO_KEYS,
  NO_NEIGHBOURS,
  NO_SCRATCHES,
  NOBODY_TOLD,
  sampleJob,
} from './storage.ts';

export interface AppOptions {
  readonly dir: string;
  readonly catalog: Catalog;
  /** What discovery finds. */
  readonly jobs?: readonly Job[];
  readonly problems?: readonly ConfigProblem[];
  readonly docker?: Failure | null;
  readonly destinations?: readonly ConfiguredDestination[];
  /** Default: none. */
  readonly keys?: Keys;
}

export interface SampleApp extends App {
  /** What was told to listeners. */
  readonly events: RunEvent[];
}

/** An app on a real directory whose discovery finds what it is told; it has no Docker and no engine. */
export function sampleApp(options: AppOptions): SampleApp {
  const { dir, catalog } = options;
  const events: RunEvent[] = [];
  function unavailable(): never {
    throw new Error('there is no Docker here');
  }
  return {
    events,
    settings: {
      dir,
      namespace: 'demo',
      discover: 'project',
      timezone: 'UTC',
      concurrency: 1,
      httpPort: null,
      logLevel: 'silent',
      logFormat: 'json',
      keep: sampleJob().keep,
      schedule: sampleJob().schedule,
      destinations: [],
      notify: NOBODY_TOLD,
    },
    options: [],
    problems: [],
    storageFailure: null,
    context: {
      storage: {
        dir,
        identity: '0123456789abcdef',
        namespace: 'demo',
        space: () => Promise.resolve({ freeBytes: 1e9, sizeBytes: 2e9 }),
      },
      catalog,
      destinations: options.destinations ?? [],
      neighbours: NO_NEIGHBOURS,
      keys: options.keys ?? NO_KEYS,
      emit: (event) => events.push(event),
      backupdVersion: '0.0.0',
      command: 'test',
    },
    scratches: NO_SCRATCHES,
    discover: () =>
      Promise.resolve({
        sources: (options.jobs ?? []).map((job) => ({
          job,
          source: namedSource(job.source),
          options: [],
        })),
        problems: options.problems ?? [],
        docker: options.docker ?? null,
      }),
    bind: unavailable,
    openChannels: () => Promise.resolve([]),
    reader: unavailable,
    inspection: NO_INSPECTION,
    ping: unavailable,
  };
}

/** What retention and the like look at of a source: its name. */
function namedSource(name: string): Source {
  return { name, engine: 'postgres' } as Source;
}
