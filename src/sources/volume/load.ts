import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BackupdError } from '../../core/errors.ts';
import type { DatabaseFacts } from '../../core/facts.ts';
import type { RestorePlan } from '../../core/restorer.ts';
import type { StreamReader } from '../../core/source.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { decompressedArgv } from '../../docker/exec-pipe.ts';
import { startExec } from '../../docker/exec.ts';
import { archiveOf, openFeed } from '../feed.ts';
import { watchSpace, type SpaceWatch } from '../space.ts';
import { readDisk } from './disk.ts';
import { streamTar } from './dump.ts';
import type { Mounted } from './mounted.ts';
import { createArgv, extractArgv, TAR_ENVIRONMENT, tarNotes } from './tar.ts';
import { tarReader } from './tar-reader.ts';
import { wantedOf } from './wanted.ts';

/**
 * Unpacks the archive of a volume into a directory of it.
 * @throws BackupdError `restore-failed`, `archive-corrupt`, `no-space`
 */
export async function loadInto(
  directory: string,
  mounted: Mounted,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<void> {
  await using space = await watchSpace(await readDisk(mounted, signal), signal);
  try {
    const watched = AbortSignal.any([signal, space.failed]);
    await unpack(directory, { mounted, plan, space }, watched);
  } catch (error) {
    // Whatever tar said when it was ended: the reason is the disk.
    throw space.failed.aborted ? space.failed.reason : error;
  }
}

interface Unpacking {
  readonly mounted: Mounted;
  readonly plan: RestorePlan;
  readonly space: SpaceWatch;
}

async function unpack(
  directory: string,
  { mounted, plan, space }: Unpacking,
  signal: AbortSignal,
): Promise<void> {
  const { docker, containerId, container, run } = mounted;
  const { name: database } = wantedOf(plan);
  const file = archiveOf(plan, database);
  const feed = openFeed(plan, file, { isCompressed: true }, signal);
  const extract = extractArgv(directory);
  const argv = feed.plainBytes === null ? extract : decompressedArgv(extract);
  const tar = await startExec(
    docker,
    { containerId, container, run, argv, env: TAR_ENVIRONMENT, stdin: 'pipe' },
    signal,
  );
  tar.stdout.resume();
  function onPassed(bytes: number): void {
    plan.onProgress({ stage: 'load', database, bytes, totalBytes: file.dumpBytes });
  }
  const [sent, ended] = await Promise.allSettled([
    tar.stdin === null
      ? Promise.resolve()
      : pipeline(space.gate(feed, onPassed), tar.stdin, { signal }),
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
  // Not by an iterator: what waits for one outlives a collection of garbage, and that adds up to some 60 MB.
  await pipeline(stream, pushInto(reader));
  const { sizeBytes = null, objects = {}, digest = '' } = reader.end();
  return { sizeBytes, tables: {}, sequences: {}, objects, digest };
}

function pushInto(reader: StreamReader): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        reader.push(chunk);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
