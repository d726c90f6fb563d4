import type Docker from 'dockerode';
import { sourceBinder } from './bind-sources.ts';
import { processEnvironment, type Environment } from './config/environment.ts';
import { withKeysOfNow } from './config/keys-of-now.ts';
import { loadConfig } from './config/load.ts';
import type { DestinationSettings } from './core/destination-settings.ts';
import type { ConfigProblem } from './core/discovery.ts';
import { toFailure, type Failure } from './core/errors.ts';
import type { Emit } from './core/events.ts';
import type { Settings } from './core/settings.ts';
import { openDestination } from './destinations/open.ts';
import { connectDocker, pingDocker } from './docker/connect.ts';
import { openKeys, sweepKeys } from './encryption/keys.ts';
import { adoptFromAny, adoptNamespace } from './jobs/adopt-namespace.ts';
import type { App, ConfiguredDestination } from './jobs/context.ts';
import { namedDestination } from './jobs/named-destination.ts';
import { inspection } from './inspection.ts';
import { neighbours } from './neighbours.ts';
import { loadEngine } from './sources/engines.ts';
import { openCatalog } from './store/catalog.ts';
import { scratches } from './scratches.ts';
import { recordSource } from './store/known-sources.ts';
import { openStorage, type Storage } from './store/storage.ts';
import { destinationMemory } from './store/upload-record.ts';
import { surroundingsOf, type Surroundings } from './surroundings.ts';

/** How long to ask Docker which compose project this is. */
const OWN_TIMEOUT_MS = 10_000;

export interface OpenOptions {
  /** What a person would call this process: `daemon`, `backup db`. */
  readonly command: string;
  /** `report` reads, and opens the app also where the directory cannot be: the app says why. */
  readonly access: 'read' | 'write' | 'report';
  /** The destination that is read from, whose namespace an unused directory takes over; null: none. */
  readonly from: string | null;
  /** Whether the command looks for a backup at all destinations where it is not here: then such a directory takes over theirs. */
  readonly searches?: boolean;
  /** Told what is wrong with the configuration before anything is opened; throws where that must not be. */
  readonly admit: (problems: readonly ConfigProblem[]) => void;
  readonly emit: Emit;
  readonly version: string;
  /** The image for containers of backupd's own; default: the one that this process runs in. */
  readonly helperImage?: string;
}

/** Puts everything together. Docker is not asked before something needs it. */
export async function openApp(options: OpenOptions, signal: AbortSignal): Promise<App> {
  const environment = processEnvironment();
  const config = await loadConfig(environment);
  const { docker, problems: dockerProblems } = clientOf(environment);
  const problems = [...config.problems, ...dockerProblems];
  options.admit(problems);
  if (options.access === 'write') {
    await sweepKeys();
  }
  const surroundings = surroundingsOf(docker);
  const destinations = config.settings.destinations.map((each) =>
    configured(each, config.settings.dir, environment),
  );
  const { storage, failure } = await openDirectory(
    config.settings,
    { ...options, destinations, surroundings },
    signal,
  );
  const binding = {
    config: { ...config, problems },
    docker,
    surroundings,
    storage,
    helperImage: options.helperImage ?? null,
  };
  const sources = sourceBinder(binding);

  return {
    settings: config.settings,
    options: config.options,
    problems,
    storageFailure: failure,
    context: {
      storage,
      catalog: openCatalog(storage),
      destinations,
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
    openChannels: async () => openChannelsOf(config.settings, storage),
    scratches: scratches(binding),
    reader: async (engine, format) => (await loadEngine(engine)).reader(format),
    inspection: inspection(docker, surroundings, config.settings),
    ownContainer: async (signal) => surroundings.container(signal),
    ping: async (signal) => pingDocker(docker, signal),
  };
}

async function openChannelsOf(
  { notify }: Settings,
  { namespace }: Storage,
): ReturnType<App['openChannels']> {
  const { openChannels } = await import('./notifications/open.ts');
  return openChannels(notify, { namespace, answerWithinMs: 15_000 });
}

function configured(
  settings: DestinationSettings,
  dir: string,
  environment: Environment,
): ConfiguredDestination {
  const here = { backupsDir: dir, memory: destinationMemory(dir, settings.name) };
  return {
    settings,
    open: async () => openDestination(await withKeysOfNow(settings, environment), here),
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

interface Opening extends OpenOptions {
  readonly destinations: readonly ConfiguredDestination[];
  readonly surroundings: Surroundings;
}

async function openDirectory(
  { dir, namespace }: Settings,
  opening: Opening,
  signal: AbortSignal,
): Promise<{ readonly storage: Storage; readonly failure: Failure | null }> {
  const { access } = opening;
  try {
    const storage = await openStorage(dir, {
      namespace,
      fallbackNamespace: () => findNamespace(opening, signal),
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

async function findNamespace(
  { access, from, searches = false, destinations, surroundings }: Opening,
  signal: AbortSignal,
): Promise<string> {
  // A reader records nothing, so it need not ask Docker.
  const own =
    access === 'write' ? await surroundings.project(AbortSignal.timeout(OWN_TIMEOUT_MS)) : null;
  if (from !== null) {
    return adoptNamespace(await namedDestination(from, destinations), own, signal);
  }
  const found = searches ? await adoptFromAny(destinations, own, signal) : null;
  return found ?? own ?? 'default';
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
