import type Docker from 'dockerode';
import type { Inspection } from './core/inspection.ts';
import type { Settings } from './core/settings.ts';
import { findUnsaved } from './core/unsaved.ts';
import { describeEndpoint } from './docker/call.ts';
import { tryCalls } from './docker/try-calls.ts';
import { tryStream } from './docker/try-stream.ts';
import { engineOfImage } from './sources/detect.ts';
import type { Surroundings } from './surroundings.ts';
import { containersSeen } from './targets.ts';

/** Looks at Docker itself, and at what is around. */
export function inspection(
  docker: Docker,
  surroundings: Surroundings,
  { discover }: Pick<Settings, 'discover'>,
): Inspection {
  return {
    get endpoint() {
      return describeEndpoint(docker);
    },
    tryCalls: async (signal) => tryCalls(docker, signal),
    tryStream: async (target, silenceMs, signal) => tryStream(docker, target, silenceMs, signal),
    async findUnsaved(jobs, signal) {
      const seen = await surroundings.look(signal);
      const { project, ownId } = seen;
      const containers = containersSeen(seen);
      return findUnsaved(jobs, { containers, project, ownId, discover, engineOf: engineOfImage });
    },
  };
}
