import type Docker from 'dockerode';
import { sourceBinder } from './bind-sources.ts';
import { processEnvironment, type Environment } from './config/environment.ts';
import { loadConfig } from './config/load.ts';
import type { ConfigProblem } from './core/discovery.ts';
import { toFailure, type Failure } from './core/errors.ts';
import type { Emit } from './core/events.ts';
import type { Settings } from './core/settings.ts';
import { connectDocker, pingDocker } from './docker/connect.ts';
import { openKeys, sweepKeys } from './encryption/keys.ts';
import type { App } from './jobs/context.ts';
import { neighbours } from './neighbours.ts';
import { loadEngine } from './sources/engines.ts';
import { openCatalog } from './store/catalog.ts';
import { recordSource } from './store/known-sources.ts';
import { openStorage, type Storage } from './store/storage.ts';
import { surroundingsOf, type Surroundings } from './surroundings.ts';

/** How long to ask Docker which compose project this is. */
const OWN_TIMEOUT_MS = 10_000;

export interface OpenOptions {
  /** What a person would call this process: `daemon`, `backup db`. */
  readonly command: string;
  /** `report` reads, and opens the app also where the directory cannot be: the app says why. */
  readonly access: 'read' | 'write' | 'report';
  /** Told what is wrong with the configuration before anything is opened; throws where that must not be. */
  readonly admit: (problems: readonly ConfigProblem[]) => void;
  readonly emit: Emit;
  readonly version: string;
  /** The image for containers of backupd's own; default: the one that this process runs in. */
  readonly helperImage?: string;
}

/** Puts everything together. Docker is not asked before something needs it. */
export async function openApp(options: OpenOptions): Promise<App> {
  const environment = processEnvironment();
  const config = await loadConfig(environment);
  const { docker, problems: dockerProblems } = clientOf(environment);
  const problems = [...config.problems, ...dockerProblems];
  options.admit(problems);
  if (options.access === 'write') {
    await sweepKeys();
  }
  const surroundings = surroundingsOf(docker);
  const { storage, failure } = await openDirectory(config.settings, options, surroundings);
  const sources = sourceBinder({
    config: { ...config, problems },
    docker,
    surroundings,
    storage,
    helperImage: options.helperImage ?? null,
  });

  return {
    settings: config.settings,
    options: config.options,
    problems,
    storageFailure: failure,
    context: {
      storage,
      catalog: openCatalog(storage),
      neighbours: neighbours(docker, surroundings),
      keys: openKeys(config.values),
      emit: options.emit,
      backupdVersion: options.version,
      command: options.command,
    },
    async discover(signal) {
      const discovery = await sources.discover(signal);
      if (options.access === 'write') {
        for (const { job } of discovery.sources) {
          await recordSource(storage.dir, job);
        }
      }
      return discovery;
    },
    bind: sources.bind,
    reader: async (engine, format) => (await loadEngine(engine)).reader(format),
    ping: async (signal) => pingDocker(docker, signal),
  };
}

/** A host that cannot be used is a problem as others are; Docker is then looked for at its usual place. */
function clientOf(environment: Environment): {
  readonly docker: Docker;
  readonly problems: readonly ConfigProblem[];
} {
  try {
    return { docker: connectDocker(environment), problems: [] };
  } catch (error) {
    const { code, message, hint } = toFailure(error);
    if (code !== 'config-invalid') {
      throw error;
    }
    const problem = { source: null, option: 'DOCKER_HOST', message, hint, severity: 'fatal' };
    return { docker: connectDocker({}), problems: [problem as ConfigProblem] };
  }
}

async function openDirectory(
  { dir, namespace }: Settings,
  { access }: OpenOptions,
  surroundings: Surroundings,
): Promise<{ readonly storage: Storage; readonly failure: Failure | null }> {
  try {
    const storage = await openStorage(dir, {
      namespace,
      // A reader records nothing, so it need not ask Docker.
      fallbackNamespace: async () =>
        (access === 'write'
          ? await surroundings.project(AbortSignal.timeout(OWN_TIMEOUT_MS))
          : null) ?? 'default',
      access: access === 'write' ? 'write' : 'read',
    });
    return { storage, failure: null };
  } catch (error) {
    if (access !== 'report') {
      throw error;
    }
    return { storage: unopened(dir, namespace, error), failure: toFailure(error) };
  }
}

/** Stands for a directory that could not be opened. */
function unopened(dir: string, namespace: string | null, error: unknown): Storage {
  return {
    dir,
    identity: '',
    namespace: namespace ?? 'default',
    space: () => Promise.reject(error),
  };
}
