import { writeArchive } from '../archive/write-archive.ts';
import type { Encrypter } from '../core/encryption.ts';
import type { BackupdError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import type { Job } from '../core/job.ts';
import { archiveFileName } from '../core/layout.ts';
import type { ArchiveFile, HaltReport, HookReport } from '../core/manifest.ts';
import type {
  DumpPart,
  DumpPlan,
  DumpResult,
  DumpSession,
  PartFacts,
  Source,
} from '../core/source.ts';
import { commandTarget, containerOfTarget, type TargetRef } from '../core/target.ts';
import { reach } from '../core/steps.ts';
import type { Draft } from '../store/catalog.ts';
import { debtOf } from '../store/owed.ts';
import type { JobContext } from './context.ts';
import { withHooks } from './hooks.ts';
import { whileHalted } from './while-halted.ts';

export interface Dumping {
  readonly source: Source;
  readonly job: Job;
  readonly draft: Draft;
  /** What all that is written goes through. */
  readonly encrypter: Encrypter;
  readonly target: TargetRef;
  /** Marks everything that is started in the target. */
  readonly run: string;
}

/** What a dump left in the draft, and what was done around it. */
export interface Dumped {
  readonly result: DumpResult;
  readonly files: readonly ArchiveFile[];
  readonly hooks: readonly HookReport[];
  readonly halts: readonly HaltReport[];
  /** Why a container that was held still does not run again; null: all do. */
  readonly failure: BackupdError | null;
}

/**
 * Dumps into the draft, between the commands before and after, while containers are held still until all is read. The
 * caller holds the source's lock.
 */
export async function dump(
  dumping: Dumping,
  context: JobContext,
  signal: AbortSignal,
): Promise<Dumped> {
  const { source, job, target: at, run } = dumping;
  const debt = debtOf(context.storage.dir, { source: source.name, halted: [], after: null });

  async function dumpStill(): Promise<Omit<Dumped, 'hooks'>> {
    await using open = new AsyncDisposableStack();
    const { result, halts, failure } = await whileHalted(
      { wish: job, target: containerOfTarget(at), debt },
      context,
      signal,
      async () => {
        reach('dump-halted');
        const session = open.use(await source.open(at, dumpPlan(job, run), signal));
        reach('dump-opened');
        return { session, ...(await writeParts(session, dumping, context.emit, signal)) };
      },
    );
    reach('dump-released');
    const { session, files, read } = result;
    const finished = { result: await session.finish(read), files, halts, failure };
    reach('dump-finished');
    return finished;
  }

  const { result, hooks } = await withHooks(
    { job, at: commandTarget(at), run, debt },
    context,
    signal,
    dumpStill,
  );
  return { ...result, hooks };
}

function dumpPlan(job: Job, run: string): DumpPlan {
  const { algorithm, level, where } = job.compression;
  return {
    run,
    facts: job.facts,
    compressInTarget: algorithm === 'zstd' && where !== 'backupd' ? { level } : null,
  };
}

/** Writes every part of a dump to its end. */
async function writeParts(
  session: DumpSession,
  { source, job, draft, encrypter }: Dumping,
  emit: Emit,
  signal: AbortSignal,
): Promise<{
  readonly files: readonly ArchiveFile[];
  readonly read: ReadonlyMap<string, PartFacts>;
}> {
  const files: ArchiveFile[] = [];
  const read = new Map<string, PartFacts>();
  for await (const part of session.parts()) {
    const written = await writePart(part, { job, source, draft, encrypter, emit }, signal);
    files.push(written.file);
    read.set(part.stem, written.facts);
    reach('archive-written');
  }
  return { files, read };
}

interface Writing extends Pick<Dumping, 'job' | 'source' | 'draft' | 'encrypter'> {
  readonly emit: Emit;
}

async function writePart(
  part: DumpPart,
  { job, source, draft, encrypter, emit }: Writing,
  signal: AbortSignal,
): Promise<{ file: ArchiveFile; facts: PartFacts }> {
  const compression = part.encoding === 'none' ? job.compression.algorithm : part.encoding;
  const name = archiveFileName(part.stem, compression, encrypter.encryption.scheme);
  const written = await writeArchive(
    part.stream,
    {
      path: draft.path(name),
      encoding: part.encoding,
      compression: { algorithm: compression, level: job.compression.level },
      encrypt: encrypter.encrypt,
      reader: source.reader(part.format),
      onProgress: (progress) => {
        emit({ type: 'backup-progress', source: source.name, stem: part.stem, ...progress });
      },
    },
    signal,
  );
  const { storedBytes: stored, sha256, dumpBytes } = written;
  return {
    file: {
      name,
      format: part.format,
      database: part.database,
      storedBytes: stored,
      sha256,
      dumpBytes,
      compression,
    },
    facts: written.facts,
  };
}
