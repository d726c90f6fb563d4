import { openApp } from '../../src/compose.ts';
import type { RunEvent } from '../../src/core/events.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { runBackup, type BackupRequest, type BackupRun } from '../../src/jobs/backup.ts';
import type { App, BoundSource } from '../../src/jobs/context.ts';
import {
  planRestore,
  type RestoreDecision,
  type RestoreRequest,
} from '../../src/jobs/plan-restore.ts';
import { runRestore, type RestoreReport } from '../../src/jobs/restore.ts';
import { dropPrevious, planUndo, runUndo } from '../../src/jobs/undo.ts';
import { testImage } from './backupd.ts';
import { temporaryFolder, type TemporaryFolder } from './storage.ts';
import { waitFor } from './wait-for.ts';

export interface LiveAppOptions {
  /** Sources as `BACKUPD_SOURCES` declares them: name to `postgres://container/database`. */
  readonly sources: Readonly<Record<string, string>>;
  /** More variables: `BACKUPD_FACTS`, `BACKUPD_SOURCE_DB_USER`. */
  readonly env?: Readonly<Record<string, string>>;
  /** A directory of an app before, which goes on owning it. Default: an empty one of its own. */
  readonly dir?: string;
  /** The image for containers of backupd's own. Default: the one under test. */
  readonly helperImage?: string;
}

/** The product's own parts in this process, on a directory of their own and the real Docker. */
export interface LiveApp extends AsyncDisposable {
  readonly app: App;
  readonly dir: string;
  /** What was told to listeners, in its order. */
  readonly events: readonly RunEvent[];
  find(source: string): Promise<BoundSource>;
  /** One run, however it ends. */
  backUp(source: string, options?: RunOptions): Promise<BackupRun>;
  /** @throws Error where the backup failed */
  backedUp(source: string): Promise<Manifest>;
  plan(request: SomeRestore, signal?: AbortSignal): Promise<RestoreDecision>;
  restore(request: SomeRestore, signal?: AbortSignal): Promise<RestoreReport>;
  undo(source: string): Promise<RestoreReport>;
  dropPrevious(source: string): Promise<readonly string[]>;
  /** Waits until listeners were told of it. */
  untilTold(type: RunEvent['type'], source: string): Promise<void>;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Changes to the job that is configured. */
  readonly job?: Partial<BackupRequest['job']>;
  readonly pins?: BackupRequest['pins'];
}

export type SomeRestore = Partial<RestoreRequest> & { readonly source: string };

/** Longer than anything here takes, shorter than the runner waits: then a hang says where it hangs. */
const DEADLINE_MS = 170_000;

export async function liveApp(options: LiveAppOptions): Promise<LiveApp> {
  const folder = options.dir === undefined ? await temporaryFolder() : givenFolder(options.dir);
  const events: RunEvent[] = [];
  const app = await openWith(
    {
      BACKUPD_DIR: folder.dir,
      BACKUPD_DISCOVER: 'off',
      BACKUPD_NAMESPACE: 'contract',
      BACKUPD_SOURCES: Object.entries(options.sources)
        .map(([name, url]) => `${name}=${url}`)
        .join(' '),
      ...options.env,
    },
    { events, helperImage: options.helperImage ?? testImage() },
  );

  async function find(source: string): Promise<BoundSource> {
    const found = await app.discover(deadline());
    const bound = found.sources.find((candidate) => candidate.job.source === source);
    if (bound === undefined) {
      throw new Error(`no source ${source}: ${JSON.stringify(found.problems)}`);
    }
    return bound;
  }

  async function backUp(source: string, run: RunOptions = {}): Promise<BackupRun> {
    const bound = await find(source);
    return runBackup(
      {
        source: bound.source,
        job: { ...bound.job, ...run.job },
        trigger: 'manual',
        pins: run.pins ?? [],
        waitMs: 0,
        tryAgain: () => null,
      },
      app.context,
      run.signal ?? deadline(),
    );
  }

  async function plan(request: SomeRestore, signal = deadline()): Promise<RestoreDecision> {
    return planRestore(
      {
        at: 'latest',
        from: null,
        tier: 'standard',
        databases: [],
        as: null,
        into: null,
        stop: [],
        waitMs: 0,
        ...request,
      },
      app,
      signal,
    );
  }

  return {
    app,
    dir: folder.dir,
    events,
    find,
    backUp,
    async backedUp(source) {
      const { manifest, failure } = await backUp(source);
      if (manifest === null || failure !== null) {
        throw new Error(`the backup failed: ${failure?.code ?? ''} ${failure?.message ?? ''}`);
      }
      return manifest;
    },
    plan,
    restore: async (request, signal = deadline()) =>
      runRestore(await plan(request, signal), app, signal),
    async undo(source) {
      const decision = await planUndo({ source, stop: [], waitMs: 0 }, app, deadline());
      return runUndo(decision, app, deadline());
    },
    async dropPrevious(source) {
      return (await dropPrevious({ source, waitMs: 0 }, app, deadline())).dropped;
    },
    async untilTold(type, source) {
      await waitFor(`event ${type}`, () =>
        events.some((event) => event.type === type && event.source === source),
      );
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

function deadline(): AbortSignal {
  return AbortSignal.timeout(DEADLINE_MS);
}

function givenFolder(dir: string): TemporaryFolder {
  return { dir, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** The configuration is read once, so the environment is another one only meanwhile. */
async function openWith(
  variables: Readonly<Record<string, string>>,
  { events, helperImage }: { readonly events: RunEvent[]; readonly helperImage: string },
): Promise<App> {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    return await openApp(
      {
        command: 'test',
        access: 'write',
        from: null,
        admit: () => undefined,
        emit: (event) => events.push(event),
        version: '0.0.0',
        helperImage,
      },
      deadline(),
    );
  } finally {
    for (const name of Object.keys(variables)) {
      delete process.env[name];
    }
    Object.assign(process.env, before);
  }
}
