import { BackupdError } from '../../core/errors.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { Source, StreamReader } from '../../core/source.ts';
import type { VolumeTarget } from '../../core/target.ts';
import { removeHelpers } from '../../docker/helper.ts';
import type { EngineModule, SourceOptions } from '../engine.ts';
import { asVolume } from './as-volume.ts';
import { FORMAT, openDump } from './dump.ts';
import { reachOf } from './reach.ts';
import { volumeRestorer } from './restorer.ts';
import { tarReader } from './tar-reader.ts';
import { describeTarget, readToolVersion } from './versions.ts';

/** A volume, or a directory of the host. */
function volumeSource(options: SourceOptions): Source {
  const { docker, job, runPrefix } = options;
  const reach = reachOf(options);

  return {
    name: job.source,
    engine: 'volume',
    locate: options.locate,
    refind: options.refind,

    async destination(manifest, signal) {
      try {
        return await options.locate(signal);
      } catch (error) {
        return goneVolume(options, manifest, error);
      }
    },

    async probe(at, signal) {
      const target = asVolume(at);
      await using mounted = await reach.look(target, signal);
      const toolVersion = await readToolVersion(mounted, signal);
      return { toolVersion, serverVersion: describeTarget(target) };
    },

    async sweep(_at, signal) {
      await removeHelpers(docker, runPrefix, signal);
    },

    async open(at, plan, signal) {
      await using stack = new AsyncDisposableStack();
      const work = { access: 'read', run: plan.run } as const;
      const mounted = stack.use(await reach.work(asVolume(at), work, signal));
      const session = await openDump(mounted, { exclude: job.exclude }, plan, signal);
      stack.move();
      return session;
    },

    reader: volumeReader,

    restorer: volumeRestorer(job.source, reach),
  };
}

/** One that is to be made again, as the backup says it was; else the error by which it was not found. */
function goneVolume({ job }: SourceOptions, { target }: Manifest, error: unknown): VolumeTarget {
  const { target: spec } = job;
  const isGone = error instanceof BackupdError && error.code === 'target-unavailable';
  if (!isGone || spec.by !== 'volume' || !('volume' in target) || target.made === null) {
    throw error;
  }
  return { volume: spec.volume, made: target.made, labelled: null };
}

function volumeReader(format: string): StreamReader {
  if (format === FORMAT) {
    return tarReader();
  }
  throw new BackupdError('format-unsupported', `no reader for the format "${format}" of volumes`, {
    hint: 'Use the backupd version that wrote it, or a newer one.',
  });
}

/** Volumes of Docker, and directories of the host. */
export const VOLUME: EngineModule = {
  source: volumeSource,
  reader: volumeReader,
  scratch: null,
};
