import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import { BackupdError } from '../../core/errors.ts';
import type { DatabaseFacts } from '../../core/facts.ts';
import type { ArchiveFile } from '../../core/manifest.ts';
import type { RestorePlan } from '../../core/source.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { decompressedArgv } from '../../docker/exec-pipe.ts';
import { startExec } from '../../docker/exec.ts';
import { streamTar } from './dump.ts';
import type { Mounted } from './mounted.ts';
import { createArgv, extractArgv, TAR_ENVIRONMENT, tarNotes } from './tar.ts';
import { tarReader } from './tar-reader.ts';

/** Unpacks the archive of a volume into a directory of it. @throws BackupdError `restore-failed`, `archive-corrupt` */
export async function loadInto(
  directory: string,
  mounted: Mounted,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<void> {
  const { docker, containerId, container, run } = mounted;
  const { stream, argv, told } = archiveFor(plan, extractArgv(directory), signal);
  const tar = await startExec(
    docker,
    { containerId, container, run, argv, env: TAR_ENVIRONMENT, stdin: 'pipe' },
    signal,
  );
  tar.stdout.resume();
  const [sent, ended] = await Promise.allSettled([
    tar.stdin === null ? Promise.resolve() : pipeline(stream, told, tar.stdin, { signal }),
    tar.exited,
  ]);
  if (sent.status === 'rejected' && isCorrupt(sent.reason)) {
    throw sent.reason;
  }
  if (ended.status === 'fulfilled' && ended.value.exitCode !== 0) {
    // What it said tells more than that it took no more.
    throw new BackupdError(
      'restore-failed',
      `tar exited with ${ended.value.exitCode ?? 'no code'} while it unpacked: ${reasonOf(ended.value, tar.stderr.text())}`,
    );
  }
  for (const one of [sent, ended]) {
    if (one.status === 'rejected') {
      throw one.reason;
    }
  }
}

function isCorrupt(error: unknown): boolean {
  return error instanceof BackupdError && error.code === 'archive-corrupt';
}

/** The archive with its progress told, as it is stored where it can be decompressed in the volume's container. */
function archiveFor(
  plan: RestorePlan,
  argv: readonly string[],
  signal: AbortSignal,
): {
  readonly stream: Readable;
  readonly argv: readonly string[];
  /** Passes it on. */
  readonly told: (chunks: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>;
} {
  const file = fileOf(plan);
  const { database, dumpBytes: totalBytes } = file;
  const compressed = plan.openZstd(file, signal);
  const stream = compressed?.stream ?? plan.open(file, signal);
  let plain = 0;
  return {
    stream,
    argv: compressed === null ? argv : decompressedArgv(argv),
    async *told(chunks) {
      for await (const chunk of chunks) {
        plain += chunk.length;
        const bytes = compressed?.plainBytes() ?? plain;
        plan.onProgress({ stage: 'load', database: database ?? '', bytes, totalBytes });
        yield chunk;
      }
    },
  };
}

export function fileOf({ manifest }: RestorePlan): ArchiveFile {
  const file = manifest.files.find(({ database }) => database !== null);
  if (file === undefined) {
    throw new BackupdError('backup-not-found', `backup ${manifest.id} has no archive of a volume`);
  }
  return file;
}

/** What there is in a directory of a volume, read as a backup would. @throws BackupdError `restore-failed` */
export async function readFacts(
  directory: string,
  mounted: Mounted,
  signal: AbortSignal,
): Promise<DatabaseFacts> {
  const reader = tarReader();
  const stream = await streamTar(
    mounted,
    { argv: createArgv(directory, []), notes: tarNotes(), code: 'restore-failed' },
    signal,
  );
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    reader.push(chunk);
  }
  const { sizeBytes = null, objects = {}, digest = '' } = reader.end();
  return { sizeBytes, tables: {}, sequences: {}, objects, digest };
}
