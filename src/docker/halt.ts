import type Docker from 'dockerode';
import type { HaltedContainer } from '../core/halts.ts';
import { callDocker, dockerStatus } from './call.ts';
import { inspectContainer, type ContainerRecord } from './containers.ts';

/** A container may ask for a long time to stop (stop_grace_period); Docker answers when it is over. */
const STOP_TIMEOUT_MS = 15 * 60_000;

type Verb = 'stop' | 'start' | 'pause' | 'unpause';

/** Whether a container does something, or is about to. */
export function isActive({ state }: Pick<ContainerRecord, 'state'>): boolean {
  return state === 'running' || state === 'restarting';
}

/**
 * Stops or pauses a container; resolves when it is so.
 * @returns false where it did not run any more
 * @throws BackupdError `target-unavailable`
 */
export async function haltContainer(
  docker: Docker,
  halted: HaltedContainer,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await change(docker, halted, halted.how, signal);
    return true;
  } catch (error) {
    const now = await lookAgain(docker, halted, error, signal);
    if (now !== null && isActive(now)) {
      throw error;
    }
    return false;
  }
}

/**
 * Lets a container run again that was halted, or was about to be; one that somebody started since, or that is gone, is
 * left alone.
 * @throws BackupdError `target-unavailable`
 */
export async function releaseContainer(
  docker: Docker,
  halted: HaltedContainer,
  signal: AbortSignal,
): Promise<void> {
  const now = await inspectIfThere(docker, halted, signal);
  if (now === null || isReleased(halted, now)) {
    return;
  }
  try {
    if (halted.how === 'stop' && isActive(now)) {
      // Whoever asked Docker to stop it may have died before it was: Docker goes on, and to start it now would change nothing.
      await haltContainer(docker, halted, signal);
    }
    await change(docker, halted, halted.how === 'stop' ? 'start' : 'unpause', signal);
  } catch (error) {
    const after = await lookAgain(docker, halted, error, signal);
    if (after !== null && !isReleased(halted, after)) {
      throw error;
    }
  }
}

function isReleased(halted: HaltedContainer, now: ContainerRecord): boolean {
  if (halted.how === 'pause') {
    return now.state !== 'paused';
  }
  return isActive(now) && now.startedAt?.toISOString() !== halted.startedAt;
}

async function change(
  docker: Docker,
  { containerId, container }: HaltedContainer,
  verb: Verb,
  signal: AbortSignal,
): Promise<void> {
  const target = docker.getContainer(containerId);
  const call = { name: `POST /containers/{id}/${verb}`, container, timeoutMs: STOP_TIMEOUT_MS };
  await callDocker(docker, call, async (signal) => VERBS[verb](target, signal), signal);
}

/** How each is asked of Docker. */
export const VERBS: Readonly<
  Record<Verb, (target: Docker.Container, abortSignal: AbortSignal) => Promise<unknown>>
> = {
  stop: (target, abortSignal) => target.stop({ abortSignal }),
  start: (target, abortSignal) => target.start({ abortSignal }),
  pause: (target, abortSignal) => target.pause({ abortSignal }),
  unpause: (target, abortSignal) => target.unpause({ abortSignal }),
};

/** How a container is that Docker refused to change; null where there is none. What Docker did not refuse is thrown again. */
async function lookAgain(
  docker: Docker,
  halted: HaltedContainer,
  refusal: unknown,
  signal: AbortSignal,
): Promise<ContainerRecord | null> {
  if (dockerStatus(refusal) === null) {
    throw refusal;
  }
  return inspectIfThere(docker, halted, signal);
}

async function inspectIfThere(
  docker: Docker,
  { containerId }: HaltedContainer,
  signal: AbortSignal,
): Promise<ContainerRecord | null> {
  try {
    return await inspectContainer(docker, containerId, signal);
  } catch (error) {
    if (dockerStatus(error) === 404) {
      return null;
    }
    throw error;
  }
}
