import type Docker from 'dockerode';
import { BackupdError } from './core/errors.ts';
import type { HaltedContainer, Neighbours } from './core/halts.ts';
import { runCommand } from './docker/command.ts';
import { inspectContainer, resolveContainer } from './docker/containers.ts';
import { haltContainer, isActive, releaseContainer } from './docker/halt.ts';
import type { Look, Surroundings } from './surroundings.ts';
import { containersSeen } from './targets.ts';

/** The containers around backupd, by the names that people give them. */
export function neighbours(docker: Docker, surroundings: Surroundings): Neighbours {
  return {
    async findRunning({ stop, pause }, signal) {
      const wanted = [
        ...stop.map((name) => ({ name, how: 'stop' as const })),
        ...pause.map((name) => ({ name, how: 'pause' as const })),
      ];
      const found = new Map<string, HaltedContainer>();
      if (wanted.length === 0) {
        return [];
      }
      const seen = await surroundings.look(signal);
      for (const { name, how } of wanted) {
        const id = idOf(name, seen);
        const container = await inspectContainer(docker, id, signal);
        if (isActive(container) && !found.has(id)) {
          const startedAt = container.startedAt?.toISOString() ?? '';
          found.set(id, { containerId: id, container: container.name, how, startedAt });
        }
      }
      return [...found.values()];
    },
    halt: async (container, signal) => haltContainer(docker, container, signal),
    release: async (container, signal) => releaseContainer(docker, container, signal),
    runCommand: async (at, what, signal) => runCommand(docker, at, what, signal),
  };
}

function idOf(name: string, seen: Look): string {
  const { id } = resolveContainer(containersSeen(seen), name, seen.project);
  if (id === seen.ownId) {
    throw new BackupdError('usage', `"${name}" is backupd itself, which cannot stop itself`, {
      hint: 'Name the containers that use what is backed up or restored.',
    });
  }
  return id;
}
