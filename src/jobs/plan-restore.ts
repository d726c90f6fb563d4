import { basename, dirname, join } from 'node:path';
import { openArchive, openCompressed } from '../archive/read-archive.ts';
import type { Stages } from '../core/encryption.ts';
import { BackupdError } from '../core/errors.ts';
import type { HaltedContainer } from '../core/halts.ts';
import { newRestoreRun } from '../core/restore-run.ts';
import { isBackupId, type BackupId } from '../core/layout.ts';
import {
  isDamaged,
  isGood,
  type CatalogEntry,
  type Manifest,
  type Warning,
} from '../core/manifest.ts';
import {
  containerOfTarget,
  targetName,
  type RestorePlan,
  type Source,
  type TargetRef,
} from '../core/source.ts';
import { readAttempts } from '../store/attempts.ts';
import { chooseBackup, chooseDatabases, looksLikeId } from './choose.ts';
import type { App, JobContext } from './context.ts';

export interface RestoreRequest {
  /** Null: the only one there is. */
  readonly source: string | null;
  /** `latest`, an id or the beginning of one, or an instant. */
  readonly at: string;
  /** Empty: all of the backup. */
  readonly databases: readonly string[];
  readonly as: string | null;
  /** A container; null: the source's own. */
  readonly into: string | null;
  /** Containers to be stopped before the swap, and started after it. */
  readonly stop: readonly string[];
  /** How long to wait for another run of the source; 0: not at all. */
  readonly waitMs: number;
}

/** What a restore will do, decided without changing anything. */
export interface RestoreDecision {
  readonly source: string;
  readonly id: BackupId;
  /** When the backup began. */
  readonly startedAt: string;
  /** The container, volume or directory. */
  readonly into: string;
  /** What the backup lacks of the instant asked for, in plain words; null where nothing. */
  readonly gap: string | null;
  readonly databases: readonly {
    readonly name: string;
    readonly restoredAs: string;
    /** Whether something of that name is there now; it is kept under another name. */
    readonly replaces: boolean;
    readonly sizeBytes: number | null;
  }[];
  /** Those of the containers to be stopped that run now. */
  readonly stops: readonly string[];
  readonly warnings: readonly Warning[];
  /** What is wrong with the files of the backup at a glance; null: nothing. The restore reads them, and writes it down. */
  readonly damage: string | null;
  /** For runRestore. */
  readonly bound: { readonly source: Source; readonly target: TargetRef };
  readonly manifest: Manifest;
  /** The containers to be stopped, as they were named. */
  readonly stop: readonly string[];
  readonly waitMs: number;
}

/**
 * Decides what a restore does and looks for every reason not to begin; changes nothing.
 * @throws BackupdError with the code of the first reason: a missing backup, a target that is away, too little space...
 */
export async function planRestore(
  request: RestoreRequest,
  app: App,
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const { catalog } = app.context;
  const name = request.source ?? (await onlySource(app));
  const entries = await entriesOf(name, app);
  if (looksLikeId(request.at)) {
    // Among the entries one that cannot be read would only be missing; this says what is wrong with it.
    await catalog.find(`${name}/${request.at}`);
  } else if (entries.length === 0) {
    await refuseUnreadable(name, app);
  }
  const { attempts } = await readAttempts(app.context.storage.dir, name);
  const { entry, gap } = chooseBackup({ entries, attempts }, request.at, app.settings.timezone);
  const manifest = await catalog.manifest(name, entry.manifest.id);
  // Without its key all else is in vain.
  await using ring = app.context.keys.ring();
  const decrypt = await ring.open(manifest, signal);
  const wanted = chooseDatabases(manifest, request.databases, request.as);
  const { source } = await app.bind(manifest, request.into, signal);
  const target = await (source.destination?.(manifest, signal) ?? source.locate(signal));
  const running = await findRunning(request.stop, target, app.context, signal);
  const plan = restorePlan(app.context, source, {
    manifest,
    databases: wanted,
    decrypt,
    run: newRestoreRun(),
    stops: running.map(({ containerId }) => containerId),
  });
  const { problems, existing } = await source.restorer.preflight(target, plan, signal);
  const [problem, ...more] = problems;
  if (problem !== undefined) {
    const also = more.map((other) => `; ${other.message}`).join('');
    throw new BackupdError(problem.code, problem.message + also, { hint: problem.hint });
  }
  return {
    source: name,
    id: manifest.id,
    startedAt: manifest.startedAt,
    into: targetName(target),
    gap,
    databases: wanted.map((database) => ({
      ...database,
      replaces: existing.includes(database.restoredAs),
      sizeBytes: manifest.facts.databases[database.name]?.sizeBytes ?? null,
    })),
    stops: running.map(({ container }) => container),
    warnings: [
      ...(request.at === 'latest' ? await passedOver(entry, entries, app) : []),
      ...manifest.warnings,
    ],
    damage: await catalog.wrongFile(entry),
    bound: { source, target },
    manifest,
    stop: request.stop,
    waitMs: request.waitMs,
  };
}

/** Those of the containers to be stopped that run. @throws BackupdError `usage` where the target is among them */
export async function findRunning(
  stop: readonly string[],
  target: TargetRef,
  { neighbours }: Pick<JobContext, 'neighbours'>,
  signal: AbortSignal,
): Promise<readonly HaltedContainer[]> {
  const running = await neighbours.findRunning({ stop, pause: [] }, signal);
  const own = containerOfTarget(target);
  if (running.some(({ containerId }) => containerId === own?.containerId)) {
    throw new BackupdError(
      'usage',
      `--stop names "${targetName(target)}", which is restored into and must run`,
      { hint: 'Name the containers that use it.' },
    );
  }
  return running;
}

async function onlySource(app: App): Promise<string> {
  const names = await app.context.catalog.sources();
  const [only, another] = names;
  if (only === undefined) {
    throw new BackupdError('backup-not-found', 'there is no backup of anything', {
      hint: 'Make one with "backupd backup".',
    });
  }
  if (another !== undefined) {
    throw new BackupdError('usage', `which source? there are backups of ${names.join(', ')}`, {
      hint: 'Name one: "backupd restore SOURCE".',
    });
  }
  return only;
}

async function entriesOf(name: string, app: App): Promise<readonly CatalogEntry[]> {
  const names = await app.context.catalog.sources();
  if (!names.includes(name)) {
    const known = names.length === 0 ? 'There are none at all.' : `There are: ${names.join(', ')}.`;
    throw new BackupdError('source-not-found', `there are no backups of a source "${name}"`, {
      hint: known,
    });
  }
  return app.context.catalog.entries(name);
}

/** Where there are folders of backups, and none of them can be used, the reason is not that nobody made one. */
async function refuseUnreadable(name: string, app: App): Promise<void> {
  const unreadable = await app.context.catalog.unreadable(name);
  const [first] = unreadable;
  if (first !== undefined) {
    throw new BackupdError(
      'backup-not-found',
      `none of the ${unreadable.length} backups of "${name}" can be used: ${first.message}`,
      { hint: 'Run "backupd check" to see all of them.' },
    );
  }
}

/** The backups that are newer than the one that `latest` means: whoever restores has to know that there is more. */
async function passedOver(
  chosen: CatalogEntry,
  entries: readonly CatalogEntry[],
  app: App,
): Promise<readonly Warning[]> {
  const { catalog, storage } = app.context;
  const { source, id: latest } = chosen.manifest;
  const unreadable = (await catalog.problems()).map(({ path, message }) => ({
    folder: dirname(path),
    id: basename(path),
    why: message,
  }));
  const newer = new Map([
    ...unreadable
      .filter(({ folder, id }) => folder === join(storage.dir, source) && isBackupId(id))
      .map(({ id, why }) => [id, why] as const),
    ...entries.map((entry) => [entry.manifest.id, flawOf(entry)] as const),
  ]);
  return [...newer]
    .filter(([id]) => id > latest)
    .map(([id, why]) => ({
      code: 'newer-not-used',
      message: `backup ${id} is newer and not used: ${why}`,
    }));
}

function flawOf(entry: CatalogEntry): string {
  if (isDamaged(entry)) {
    return 'it is damaged';
  }
  if (isGood(entry)) {
    return 'it is dated in the future, and others were made since';
  }
  return entry.manifest.suspicious
    ? 'it is suspicious, the source had shrunk'
    : `it is of kind "${entry.manifest.kind}"`;
}

/** What the restorer works by. */
export function restorePlan(
  context: JobContext,
  source: Source,
  {
    decrypt,
    ...what
  }: Pick<RestorePlan, 'manifest' | 'databases' | 'run' | 'stops'> & { readonly decrypt: Stages },
): RestorePlan {
  return {
    ...what,
    open(file, signal) {
      const path = context.catalog.path(what.manifest, file.name);
      return openArchive(path, file, { decrypt, reader: source.reader(file.format) }, signal);
    },
    openZstd(file, signal) {
      const { compression } = file;
      if (compression !== 'zstd') {
        return null;
      }
      const path = context.catalog.path(what.manifest, file.name);
      const reader = source.reader(file.format);
      return openCompressed(path, { ...file, compression }, { decrypt, reader }, signal);
    },
    onProgress(progress) {
      context.emit({
        type: 'restore-progress',
        source: what.manifest.source,
        stage: progress.stage,
        database: progress.database,
        bytes: progress.bytes ?? null,
        totalBytes: progress.totalBytes ?? null,
      });
    },
  };
}
