import { openArchive, openCompressed } from '../archive/read-archive.ts';
import type { RetrievalTier } from '../core/destination.ts';
import type { Stages } from '../core/encryption.ts';
import { BackupdError } from '../core/errors.ts';
import type { HaltedContainer } from '../core/halts.ts';
import type { BackupId } from '../core/layout.ts';
import { storedBytes, type Manifest, type Warning } from '../core/manifest.ts';
import { newRestoreRun } from '../core/restore-run.ts';
import type { Source } from '../core/source.ts';
import type { RestorePlan } from '../core/restorer.ts';
import { containerOfTarget, targetName, type TargetRef } from '../core/target.ts';
import { describePending, findArchived } from './bring-back.ts';
import { chooseDatabases } from './choose.ts';
import { chooseRestore } from './choose-restore.ts';
import type { Wish } from './chosen.ts';
import type { App, JobContext } from './context.ts';
import type { Copy } from './find-copy.ts';
import { asTargetFailure } from './target-failure.ts';

export interface RestoreRequest extends Wish {
  /** Empty: all of the backup. */
  readonly databases: readonly string[];
  readonly as: string | null;
  /** A container; null: the source's own. */
  readonly into: string | null;
  /** Containers to be stopped before the swap, and started after it. */
  readonly stop: readonly string[];
  /** How archived files are asked back. */
  readonly tier: RetrievalTier;
  /** How long to wait for another run of the source, and for archived files; 0: not at all. */
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
  /** Where it is fetched from first, so many bytes of it at most; null: it is here. */
  readonly fetch: { readonly destination: string; readonly bytes: number } | null;
  /** For runRestore. */
  readonly copy: Copy | null;
  readonly tier: RetrievalTier;
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
  return asTargetFailure(() => decide(request, app, signal));
}

async function decide(
  request: RestoreRequest,
  app: App,
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const { manifest, gap, copy, damage, warnings } = await chooseRestore(request, app, signal);
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
    source: manifest.source,
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
      ...warnings,
      ...(copy === null ? [] : await warnOfArchive(copy, request.tier, signal)),
      ...manifest.warnings,
    ],
    damage,
    fetch:
      copy === null ? null : { destination: copy.destination.name, bytes: storedBytes(manifest) },
    copy,
    tier: request.tier,
    bound: { source, target },
    manifest,
    stop: request.stop,
    waitMs: request.waitMs,
  };
}

async function warnOfArchive(
  copy: Copy,
  tier: RetrievalTier,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const archived = await findArchived(copy, signal);
  return archived.length === 0
    ? []
    : [{ code: 'archived', message: describePending(copy, archived, tier) }];
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
