import type Docker from 'dockerode';
import { BackupdError } from '../core/errors.ts';
import { formatDuration } from '../core/duration.ts';
import type { ContainerTarget } from '../core/target.ts';
import { describeEndpoint } from './call.ts';
import { runExec } from './run-exec.ts';

const SAMPLE = 'backupd check\n';
/** What it may take beside the silence. */
const TIMEOUT_MS = 30_000;

/**
 * Sends a little to a process in a container, ends its input, and has it back after a silence: what a dump and a restore
 * need of whatever stands between. @throws BackupdError `target-unavailable`
 */
export async function tryStream(
  docker: Docker,
  { containerId, container }: ContainerTarget,
  silenceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(silenceMs + TIMEOUT_MS)]);
  const request = {
    containerId,
    container,
    run: 'check',
    argv: ['sh', '-c', 'sleep "$1" && exec cat', 'check', `${Math.ceil(silenceMs / 1000)}`],
    input: SAMPLE,
  };
  let said: string;
  try {
    said = (await runExec(docker, request, limit)).stdout;
  } catch (error) {
    signal.throwIfAborted();
    throw broken(docker, silenceMs, error);
  }
  if (said !== SAMPLE) {
    throw broken(docker, silenceMs, null);
  }
}

function broken(docker: Docker, silenceMs: number, cause: unknown): BackupdError {
  const silence = silenceMs === 0 ? '' : ` after ${formatDuration(silenceMs)} of silence`;
  return new BackupdError(
    'target-unavailable',
    `what was sent through ${describeEndpoint(docker)} to a process in a container did not come back${silence}`,
    {
      cause,
      hint:
        silenceMs === 0
          ? 'A proxy before the Docker socket has to pass the upgrade of POST /exec/{id}/start, and one side closing before the other.'
          : 'Give the proxy before the Docker socket longer time-outs (haproxy: timeout client, server and tunnel; nginx: proxy_read_timeout): a database may be silent for ten minutes within a dump.',
    },
  );
}
