import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Io } from '../../../src/cli/io.ts';
import { runCommand, type AppOptions } from '../../../src/cli/run.ts';
import type { ConfigProblem } from '../../../src/core/discovery.ts';
import { BackupdError, type Failure } from '../../../src/core/errors.ts';
import type { Emit } from '../../../src/core/events.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import type { Settings } from '../../../src/core/settings.ts';
import type { App, BoundSource, ConfiguredDestination } from '../../../src/jobs/context.ts';
import { openCatalog } from '../../../src/store/catalog.ts';
import { openStorage } from '../../../src/store/storage.ts';
import {
  NO_INSPECTION,
  NO_KEYS,
  NO_NEIGHBOURS,
  NO_SCRATCHES,
  NOBODY_TOLD,
} from '../../support/storage.ts';
import { ANY_READER, manifest, SCHEDULE } from './paper-source.ts';

/** A stream that says it is a terminal with colours, whatever the environment of the tests says. */
export function terminal(): PassThrough {
  return Object.assign(new PassThrough(), {
    isTTY: true,
    columns: 80,
    getColorDepth: () => 8,
  });
}

export interface FakeIo extends Io {
  /** What was written so far. */
  out(): string;
  err(): string;
  /** As if an error had been thrown that nobody could catch; whether somebody listened. */
  fault(error: unknown): boolean;
  /** As if the user or Docker had sent it; whether somebody listened. */
  signal(name: 'SIGINT' | 'SIGTERM'): boolean;
}

/** The streams of a process; `answer` is what is typed, null: nothing more is ever typed. */
export function fakeIo(
  options: { readonly isTerminal?: boolean; readonly answer?: string | null } = {},
): FakeIo {
  const { isTerminal = false, answer = null } = options;
  const make = isTerminal ? terminal : () => new PassThrough();
  const stdin = make();
  const stdout = make();
  const stderr = make();
  const texts = { out: '', err: '' };
  stdout.on('data', (chunk: Buffer) => (texts.out += chunk.toString()));
  stderr.on('data', (chunk: Buffer) => (texts.err += chunk.toString()));
  if (answer !== null) {
    stdin.end(answer);
  }
  const faultListeners = new Set<(error: unknown) => void>();
  let listener: ((name: 'SIGINT' | 'SIGTERM') => void) | null = null;
  return {
    stdin,
    stdout,
    stderr,
    onSignal(heard) {
      listener = heard;
      return () => {
        listener = null;
      };
    },
    onFault(heard) {
      faultListeners.add(heard);
      return () => faultListeners.delete(heard);
    },
    fault(error) {
      for (const heard of faultListeners) {
        heard(error);
      }
      return faultListeners.size > 0;
    },
    elapsedMs: () => 0,
    out: () => texts.out,
    err: () => texts.err,
    signal(name) {
      const heard = listener;
      listener = null;
      heard?.(name);
      return heard !== null;
    },
  };
}

/** A directory with backups, and the app on it; nothing of it is Docker. */
export interface FakeApp extends AsyncDisposable {
  readonly app: App;
  /** What sources discovery finds, and what is wrong. */
  readonly discovery: { sources: BoundSource[]; problems: ConfigProblem[]; docker: Failure | null };
  /** Puts a backup into the catalog. */
  add(change?: Partial<Manifest>): Promise<Manifest>;
}

export async function fakeApp(
  change: Partial<Pick<App, 'problems' | 'options' | 'storageFailure'>> & {
    readonly emit?: Emit;
    readonly destinations?: readonly ConfiguredDestination[];
  } = {},
): Promise<FakeApp> {
  const dir = await mkdtemp(join(tmpdir(), 'backupd-cli-'));
  const storage = await openStorage(dir, {
    namespace: 'shop',
    fallbackNamespace: () => Promise.resolve('default'),
    access: 'write',
  });
  const catalog = openCatalog(storage);
  const discovery: FakeApp['discovery'] = { sources: [], problems: [], docker: null };
  const app: App = {
    settings: settings(dir),
    options: change.options ?? [],
    problems: change.problems ?? [],
    storageFailure: change.storageFailure ?? null,
    context: {
      storage,
      catalog,
      destinations: change.destinations ?? [],
      neighbours: NO_NEIGHBOURS,
      keys: NO_KEYS,
      emit: change.emit ?? (() => undefined),
      backupdVersion: '9.9.9',
      command: 'test',
    },
    scratches: NO_SCRATCHES,
    discover: () => Promise.resolve(discovery),
    bind({ source }) {
      const bound = discovery.sources.find(({ job }) => job.source === source);
      return bound === undefined
        ? Promise.reject(new BackupdError('target-unavailable', `no container of ${source}`))
        : Promise.resolve(bound);
    },
    openChannels: () => Promise.resolve([]),
    reader: () => Promise.resolve(ANY_READER),
    inspection: NO_INSPECTION,
    ping: () => Promise.resolve({ engineVersion: '28.0' }),
  };
  return {
    app,
    discovery,
    async add(fields = {}) {
      const made = manifest(fields);
      await using draft = await catalog.draft(made.source, made.id);
      for (const file of made.files) {
        await writeFile(draft.path(file.name), Buffer.alloc(file.storedBytes));
      }
      await draft.commit(made);
      return made;
    },
    async [Symbol.asyncDispose]() {
      // A run that was left behind may write into it still.
      await rm(dir, { recursive: true, maxRetries: 10 });
    },
  };
}

function settings(dir: string): Settings {
  return {
    dir,
    namespace: 'shop',
    discover: 'project',
    timezone: 'UTC',
    concurrency: 1,
    httpPort: null,
    logLevel: 'info',
    logFormat: 'auto',
    keep: { all: true },
    schedule: SCHEDULE,
    destinations: [],
    notify: NOBODY_TOLD,
  };
}

/** The app as it is opened for a command: only where its configuration admits that. */
// oxlint-disable-next-line typescript/require-await -- what it throws is a rejection
export async function opened(app: App, { admit, emit }: AppOptions): Promise<App> {
  admit(app.problems);
  return { ...app, context: { ...app.context, emit } };
}

/** How a command ended and what it said. */
export interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
  /** The document on stdout. */
  readonly json: () => unknown;
}

/** Runs a command line on an app as the program does. */
export async function run(fake: FakeApp, line: string, io: FakeIo = fakeIo()): Promise<Ran> {
  const exitCode = await runCommand(line.split(' '), {
    openApp: async (options) => opened(fake.app, options),
    runDaemon: () => Promise.reject(new Error('no daemon here')),
    io,
    version: '9.9.9',
  });
  const out = io.out();
  return { exitCode, out, err: io.err(), json: () => JSON.parse(out) as unknown };
}
