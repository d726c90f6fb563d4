import type Docker from 'dockerode';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { BackupdError } from '../core/errors.ts';
import { callDocker, describeEndpoint, dockerStatus } from './call.ts';

/** What is started, and where. */
export interface ChannelRequest {
  readonly containerId: string;
  /** The container's name, for messages. */
  readonly container: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Null: the container's default user. */
  readonly user: string | null;
  readonly hasStdin: boolean;
}

/** A started exec: the raw connection, framed by Docker on the way back; half-closed by `end()`. */
export interface ExecChannel {
  readonly exec: Docker.Exec;
  readonly socket: Socket;
  readonly startedAt: Date;
}

/** What ended a process: itself (or a signal), or something that happened to all around it. */
export type Ending =
  | 'itself'
  | 'not-started'
  | 'container-stopped'
  | 'container-out-of-memory'
  | 'container-restarted'
  | 'container-removed'
  | 'connection-cut';

/** How a process in a container ended. */
export interface ExecExit {
  /** Null where nobody knows, which is a failure; 128 and more: ended by signal `exitCode - 128`. */
  readonly exitCode: number | null;
  readonly ending: Ending;
}

/** The stream ends after the process, so its code is there at once; later only where something is wrong. */
const EXIT_DEADLINE_MS = 5000;
/** A container that dies takes its processes first; Docker says a moment later that it stopped. */
const STOP_NOTICE_MS = 500;
const LAST_SIGNAL = 64;
const FIRST_POLL_MS = 10;
const SLOWEST_POLL_MS = 200;

/**
 * Starts a process in a container. The caller owns the connection. Where it throws after the start was asked for, the
 * process may run all the same: `onMaybeStarted` was called before.
 * @throws BackupdError `target-unavailable`
 */
export async function openChannel(
  docker: Docker,
  request: ChannelRequest,
  onMaybeStarted: () => void,
  signal: AbortSignal,
): Promise<ExecChannel> {
  const { container, hasStdin } = request;
  const exec = await callDocker(
    docker,
    { name: 'POST /containers/{id}/exec', container },
    async (abortSignal) =>
      docker.getContainer(request.containerId).exec({
        AttachStdin: hasStdin,
        AttachStdout: true,
        AttachStderr: true,
        // A terminal would merge stderr into stdout and turn line feeds into CR LF.
        Tty: false,
        Cmd: [...request.argv],
        Env: Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
        ...(request.user === null ? {} : { User: request.user }),
        abortSignal,
      }),
    signal,
  );
  onMaybeStarted();
  const startedAt = new Date();
  const call = { name: 'POST /exec/{id}/start', container };
  const socket = await callDocker(
    docker,
    call,
    // Only a hijacked connection can be half-closed; without that flag the end of stdin never arrives.
    async (abortSignal) =>
      upgraded(
        docker,
        await exec.start({ hijack: true, stdin: hasStdin, Tty: false, abortSignal }),
        abortSignal,
      ),
    signal,
  );
  // Through TCP a peer that is gone would otherwise never be noticed; on a Unix socket it has no effect.
  socket.setKeepAlive(true, 30_000);
  return { exec, socket, startedAt };
}

/** A proxy that does not pass the upgrade answers 200, and the stream is then not to be trusted. */
function upgraded(docker: Docker, answer: unknown, signal: AbortSignal): Socket {
  if (!(answer instanceof Socket)) {
    (answer as { destroy?: () => void }).destroy?.();
    throw new BackupdError(
      'target-unavailable',
      `${describeEndpoint(docker)} does not upgrade the connection of POST /exec/{id}/start`,
      {
        hint: 'A proxy before Docker must pass "Upgrade: tcp" on, as for docker exec; or mount the socket itself.',
      },
    );
  }
  if (signal.aborted) {
    // Came too late: nobody waits for it any more.
    answer.destroy();
  }
  return answer;
}

/**
 * How the process ended whose stream is over; `connection-cut` where it still runs nevertheless.
 * @throws BackupdError `target-unavailable` where Docker cannot be asked.
 */
export async function readExit(
  docker: Docker,
  channel: Pick<ExecChannel, 'exec' | 'startedAt'>,
  request: Pick<ChannelRequest, 'containerId' | 'container'>,
  signal: AbortSignal,
): Promise<ExecExit> {
  const deadlineAt = performance.now() + EXIT_DEADLINE_MS;
  for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(pauseMs * 2, SLOWEST_POLL_MS)) {
    const state = await inspectExec(docker, channel.exec, request, signal);
    if (state === 'removed') {
      return { exitCode: null, ending: 'container-removed' };
    }
    if (!state.Running && state.ExitCode === 0) {
      return { exitCode: 0, ending: 'itself' };
    }
    if (!state.Running) {
      const { ExitCode: exitCode } = state;
      return {
        exitCode,
        ending: await findEnding(docker, channel, request, { state, signal }),
      };
    }
    if (performance.now() >= deadlineAt) {
      return { exitCode: null, ending: 'connection-cut' };
    }
    await delay(pauseMs, undefined, { signal });
  }
}

/** Whether Docker says that the process runs; it says so as well of one that is about to be started. */
export async function isExecRunning(
  docker: Docker,
  channel: Pick<ExecChannel, 'exec'>,
  request: Pick<ChannelRequest, 'container'>,
  signal: AbortSignal,
): Promise<boolean> {
  const state = await inspectExec(docker, channel.exec, request, signal);
  return state !== 'removed' && state.Running;
}

async function inspectExec(
  docker: Docker,
  exec: Docker.Exec,
  request: Pick<ChannelRequest, 'container'>,
  signal: AbortSignal,
): Promise<Docker.ExecInspectInfo | 'removed'> {
  try {
    return await callDocker(
      docker,
      { name: 'GET /exec/{id}/json', container: request.container },
      async (abortSignal) => exec.inspect({ abortSignal }),
      signal,
    );
  } catch (error) {
    if (dockerStatus(error) === 404) {
      return 'removed';
    }
    throw error;
  }
}

async function findEnding(
  docker: Docker,
  channel: Pick<ExecChannel, 'startedAt'>,
  request: Pick<ChannelRequest, 'containerId' | 'container'>,
  { state, signal }: { readonly state: Docker.ExecInspectInfo; readonly signal: AbortSignal },
): Promise<Ending> {
  if (state.Pid === 0) {
    return 'not-started';
  }
  const { ExitCode: exitCode } = state;
  const wasKilled = exitCode === null || (exitCode > 128 && exitCode <= 128 + LAST_SIGNAL);
  const deadlineAt = performance.now() + (wasKilled ? STOP_NOTICE_MS : 0);
  for (;;) {
    const ending = await lookAtContainer(docker, channel, request, signal);
    if (ending !== 'itself' || performance.now() >= deadlineAt) {
      return ending;
    }
    await delay(SLOWEST_POLL_MS, undefined, { signal });
  }
}

/** `itself` where the container runs as it did when the process was started. */
async function lookAtContainer(
  docker: Docker,
  channel: Pick<ExecChannel, 'startedAt'>,
  request: Pick<ChannelRequest, 'containerId' | 'container'>,
  signal: AbortSignal,
): Promise<Ending> {
  try {
    const { State: state } = await callDocker(
      docker,
      { name: 'GET /containers/{id}/json', container: request.container },
      async (abortSignal) => docker.getContainer(request.containerId).inspect({ abortSignal }),
      signal,
    );
    if (!state.Running) {
      return state.OOMKilled ? 'container-out-of-memory' : 'container-stopped';
    }
    return new Date(state.StartedAt) > channel.startedAt ? 'container-restarted' : 'itself';
  } catch (error) {
    if (dockerStatus(error) === 404) {
      return 'container-removed';
    }
    throw error;
  }
}
