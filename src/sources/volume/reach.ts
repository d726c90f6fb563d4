import type Docker from 'dockerode';
import type { VolumeTarget } from '../../core/target.ts';
import { removeHelpers } from '../../docker/helper.ts';
import type { SourceOptions } from '../engine.ts';
import { lookRun, newRun } from '../runs.ts';
import { mount, type Mounted } from './mounted.ts';

/** How volumes are reached. */
export interface Reach {
  readonly docker: Docker;
  /** For who only looks. */
  readonly look: (target: VolumeTarget, signal: AbortSignal) => Promise<Mounted>;
  /** For who holds the source's lock: ends what dead processes of this `/backups` left there first. */
  readonly work: (target: VolumeTarget, work: Work, signal: AbortSignal) => Promise<Mounted>;
}

export interface Work {
  readonly access: 'read' | 'write';
  /** Marks what is run; default: a mark of its own. */
  readonly run?: string;
}

/** What only looks holds no lock, so that nobody clears up after it: it ends by itself. */
const LOOK_SECONDS = 600;

export function reachOf({ docker, runPrefix, helperImage }: SourceOptions): Reach {
  return {
    docker,
    async look(target, signal) {
      const run = lookRun(runPrefix);
      const image = await helperImage(signal);
      const request = {
        image,
        owner: run,
        run,
        access: 'read',
        lifeSeconds: LOOK_SECONDS,
      } as const;
      return mount(docker, target, request, signal);
    },
    async work(target, { access, run = newRun(runPrefix) }, signal) {
      await removeHelpers(docker, runPrefix, signal);
      const image = await helperImage(signal);
      const request = { image, owner: runPrefix, run, access, lifeSeconds: null };
      return mount(docker, target, request, signal);
    },
  };
}
