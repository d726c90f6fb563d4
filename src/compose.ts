import { sourceBinder } from './bind-sources.ts';
import { processEnvironment } from './config/environment.ts';
import { loadConfig } from './config/load.ts';
import { BackupdError } from './core/errors.ts';
import type { Emit } from './core/events.ts';
import type { Engine, StreamReader } from './core/source.ts';
import { connectDocker, pingDocker } from './docker/connect.ts';
import type { App } from './jobs/context.ts';
import { postgresReader } from './sources/postgres/postgres.ts';
import { openCatalog } from './store/catalog.ts';
import { recordSource } from './store/known-sources.ts';
import { openStorage } from './store/storage.ts';
import { surroundingsOf } from './surroundings.ts';

/** How long to ask Docker which compose project this is. */
const OWN_TIMEOUT_MS = 10_000;

export interface OpenOptions {
  /** What a person would call this process: `daemon`, `backup db`. */
  readonly command: string;
  readonly access: 'read' | 'write';
  readonly emit: Emit;
  readonly version: string;
}

/** Puts everything together. Docker is not asked before something needs it. */
export async function openApp(options: OpenOptions): Promise<App> {
  const environment = processEnvironment();
  const config = await loadConfig(environment);
  const docker = connectDocker(environment);
  const surroundings = surroundingsOf(docker);
  const storage = await openStorage(config.settings.dir, {
    namespace: config.settings.namespace,
    // A reader records nothing, so it need not ask Docker.
    fallbackNamespace: async () =>
      (options.access === 'write'
        ? await surroundings.project(AbortSignal.timeout(OWN_TIMEOUT_MS))
        : null) ?? 'default',
    access: options.access,
  });
  const sources = sourceBinder({ config, docker, surroundings, storage });

  return {
    settings: config.settings,
    options: config.options,
    problems: config.problems,
    context: {
      storage,
      catalog: openCatalog(storage),
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
    reader: readerOf,
    ping: async (signal) => pingDocker(docker, signal),
  };
}

/** The readers of every engine's formats. */
function readerOf(engine: Engine, format: string): StreamReader {
  if (engine === 'postgres') {
    return postgresReader(format);
  }
  throw new BackupdError('format-unsupported', `this backupd reads no backups of ${engine}`, {
    hint: 'Use the backupd version that wrote it, or a newer one.',
  });
}
