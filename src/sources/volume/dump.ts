import type { FailureCode } from '../../core/errors.ts';
import type { DatabaseFacts } from '../../core/facts.ts';
import { encodeName } from '../../core/layout.ts';
import type { Warning } from '../../core/manifest.ts';
import type { DumpPart, DumpPlan, DumpResult, DumpSession, PartFacts } from '../../core/source.ts';
import { targetName } from '../../core/target.ts';
import { compressedArgv } from '../../docker/exec-pipe.ts';
import { startExec } from '../../docker/exec.ts';
import { MOUNTED_AT } from '../../docker/helper.ts';
import { verdictStream } from '../../docker/verdict-stream.ts';
import type { Mounted } from './mounted.ts';
import { createArgv, TAR_ENVIRONMENT, tarNotes, type TarNotes } from './tar.ts';
import { describeTarget, readToolVersion } from './versions.ts';

/** The format of the archives, by which their reader is found. */
export const FORMAT = 'volume-tar';

/** tar says so where files changed while it read them, and where anything else went wrong. */
const EXIT_DIFFERS = 1;

/** Opens a dump of a volume that is mounted; the session owns the mount. */
export async function openDump(
  mounted: Mounted,
  { exclude }: { readonly exclude: readonly string[] },
  plan: DumpPlan,
  signal: AbortSignal,
): Promise<DumpSession> {
  const { target } = mounted;
  const name = targetName(target);
  const stem = `${encodeName(name)}.tar`;
  const notes = tarNotes();
  const ending = new AbortController();
  const toolVersion = await readToolVersion(mounted, signal);

  async function* parts(): AsyncGenerator<DumpPart> {
    const own = AbortSignal.any([signal, ending.signal]);
    const level = plan.compressInTarget?.level ?? null;
    const argv = createArgv(MOUNTED_AT, exclude);
    const stream = await streamTar(
      mounted,
      {
        argv: level === null ? argv : compressedArgv(argv, { level }),
        notes,
        code: 'dump-failed',
      },
      own,
    );
    const encoding = level === null ? 'none' : 'zstd';
    yield { stem, format: FORMAT, database: name, encoding, stream };
  }

  return {
    parts,
    finish(read) {
      const facts = factsOf(read.get(stem) ?? {}, plan);
      const result: DumpResult = {
        toolVersion,
        databases: [name],
        facts: { serverVersion: describeTarget(target), databases: { [name]: facts } },
        engineFacts: { exclude },
        position: null,
        warnings: warningsOf(notes, name),
      };
      return Promise.resolve(result);
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await mounted[Symbol.asyncDispose]();
    },
  };
}

interface Reading {
  readonly argv: readonly string[];
  readonly notes: TarNotes;
  readonly code: FailureCode;
}

/** What tar gives, as a verdict. */
export async function streamTar(
  { docker, containerId, container, run }: Mounted,
  { argv, notes, code }: Reading,
  signal: AbortSignal,
): Promise<DumpPart['stream']> {
  const process = await startExec(
    docker,
    {
      containerId,
      container,
      run,
      argv,
      env: TAR_ENVIRONMENT,
      onStderrLine: notes.onLine,
    },
    signal,
  );
  return verdictStream(process, {
    tool: 'tar',
    code,
    container,
    accepts: (exitCode) => exitCode === EXIT_DIFFERS && notes.changed() > 0 && !notes.hasOthers(),
  });
}

function factsOf({ sizeBytes, objects, digest }: PartFacts, { facts }: DumpPlan): DatabaseFacts {
  const none = { sizeBytes: sizeBytes ?? null, tables: {}, sequences: {}, objects: {} };
  return facts === 'off' || objects === undefined || digest === undefined
    ? none
    : { ...none, objects, digest };
}

function warningsOf(notes: TarNotes, name: string): readonly Warning[] {
  const [changed, sockets] = [notes.changed(), notes.sockets()];
  return [
    ...(changed === 0
      ? []
      : [
          {
            code: 'files-changed',
            message: `${changed} ${changed === 1 ? 'file' : 'files'} of "${name}" changed or vanished while read: backupd.stop or backupd.pause holds still what writes there`,
          },
        ]),
    ...(sockets === 0
      ? []
      : [
          {
            code: 'sockets-skipped',
            message: `${sockets} ${sockets === 1 ? 'socket' : 'sockets'} of "${name}" were left out: who made them makes them again`,
          },
        ]),
  ];
}
