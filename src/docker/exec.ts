import type Docker from 'dockerode';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Readable, Writable } from 'node:stream';
import { BackupdError, toError } from '../core/errors.ts';
import {
  isExecRunning,
  openChannel,
  readExit,
  type ExecChannel,
  type ExecExit,
} from './channel.ts';
import { demultiplex, StreamCut } from './demux.ts';
import { cutFailure, programName, type FailedTool } from './exec-failure.ts';
import { execInput } from './exec-input.ts';
import { EXEC_VARIABLE, killRun, RUN_VARIABLE } from './kill.ts';
import { silenceGuard } from './silence.ts';
import { stderrTail } from './stderr-tail.ts';

/** What to run in a container. */
export interface ExecRequest {
  readonly containerId: string;
  /** The container's name, for messages. */
  readonly container: string;
  /** Marks the process and all it starts, so that `killRun` finds them. */
  readonly run: string;
  /** Public (`docker events` shows it): never a secret. */
  readonly argv: readonly string[];
  /** May hold secrets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the container's default user. */
  readonly user?: string;
  readonly stdin?: 'pipe';
  /** All of stdin; for `runExec` only. May hold secrets. */
  readonly input?: string | Buffer;
  /** The most stdout that `runExec` takes; default 16 MiB. */
  readonly maxBytes?: number;
  /** What `runExec` makes of it: text, or one character for each byte. */
  readonly encoding?: 'utf8' | 'latin1';
  /** How much of stdout may wait to be read; default 256 KiB. */
  readonly bufferedBytes?: number;
  /** Given every line of stderr as it comes. */
  readonly onStderrLine?: (line: string) => void;
  /**
   * A process that is silent for so long is ended: no byte of stdout or stderr, none taken from its stdin. 0: never.
   * Default: ten minutes for `startExec` without stdin, which is how dumps run; else 0, for an index is built in silence,
   * and a session waits.
   */
  readonly idleMs?: number;
  /** `stdout`: what it says on stderr is no sign of life, since it says that whatever happens. */
  readonly heardOn?: 'stdout';
}

/** A process that runs in a container. Its owner reads stdout to its end, or destroys it, which ends the process. */
export interface ExecProcess {
  /**
   * Ends when the process closed it, however that exited: see `exited`, or use `verdictStream`. Destroyed with an error
   * only after the process is dead (or could not be ended): aborted, silent, given up, cut off from Docker.
   */
  readonly stdout: Readable;
  /** Null unless asked for. `end()` is the end of the process's stdin; destroying it before that ends the process. */
  readonly stdin: Writable | null;
  readonly stderr: { text(): string };
  /**
   * How it ended. Settles only after all of stdout was read or that was destroyed. Rejects with the signal's reason,
   * or with a BackupdError where we ended it. Need not be awaited.
   */
  readonly exited: Promise<ExecExit>;
}

const DUMP_IDLE_MS = 10 * 60_000;
/** Within the ten seconds a shutdown may take. */
const KILL_TIMEOUT_MS = 8000;
const KILL_AGAIN_MS = 50;

/**
 * Starts a process in a container. Aborting the signal ends it, and all it started.
 * @throws BackupdError `target-unavailable` where it cannot be started; a tool that is missing exits with 126 or 127 instead.
 */
export async function startExec(
  docker: Docker,
  request: ExecRequest,
  signal: AbortSignal,
): Promise<ExecProcess> {
  const mark = randomBytes(8).toString('hex');
  let mayRun = false;
  try {
    const channel = await openChannel(
      docker,
      {
        containerId: request.containerId,
        container: request.container,
        argv: request.argv,
        env: { ...request.env, [RUN_VARIABLE]: request.run, [EXEC_VARIABLE]: mark },
        user: request.user ?? null,
        hasStdin: request.stdin === 'pipe',
      },
      () => {
        mayRun = true;
      },
      signal,
    );
    return attach({ docker, request, channel, mark }, signal);
  } catch (error) {
    if (mayRun) {
      await endProcess({ docker, request, mark, channel: null });
    }
    throw error;
  }
}

interface Started {
  readonly docker: Docker;
  readonly request: ExecRequest;
  /** Null where it is not known whether it came to be. */
  readonly channel: ExecChannel | null;
  readonly mark: string;
}

/** One that has its connection. */
type Attached = Started & { readonly channel: ExecChannel };

/** Ties a started process together. */
function attach(started: Attached, signal: AbortSignal): ExecProcess {
  const { request, channel } = started;
  const stderr = stderrTail(request.onStderrLine);
  const life = lifeOf(started, onOver, signal);
  const silence = silenceGuard(idleMsOf(request), {
    isHeldUp: () => channel.socket.isPaused(),
    onSilent: () => {
      stdout.destroy(silentFor(request));
    },
  });
  const stdout = demultiplex(channel.socket, {
    ...(request.bufferedBytes === undefined ? {} : { bufferedBytes: request.bufferedBytes }),
    onStderr(bytes) {
      stderr.push(bytes);
      if (request.heardOn !== 'stdout') {
        silence.heard();
      }
    },
    onStdout: silence.heard,
    onEnd: life.conclude,
    onDestroy: life.breakOff,
  });
  const input =
    request.stdin === 'pipe'
      ? execInput(channel.socket, {
          tool: toolOf(request),
          onTaken: silence.heard,
          onGivenUp: (error) => {
            stdout.destroy(error ?? givenUp(request));
          },
        })
      : null;
  // Told by `exited` as well; without these an error that nobody listens for would end the whole program.
  stdout.on('error', () => {});
  input?.stream.on('error', () => {});

  function onAbort(): void {
    stdout.destroy(toError(signal.reason));
  }
  function onOver(reason: Error | null): void {
    signal.removeEventListener('abort', onAbort);
    silence.stop();
    input?.close(reason);
    if (reason === null) {
      stderr.end();
    }
  }
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  return { stdout, stdin: input?.stream ?? null, stderr, exited: life.exited };
}

/** Every way a process can end leads to one of the two, once. */
interface Life {
  readonly exited: Promise<ExecExit>;
  /** Its output ended by itself. */
  readonly conclude: () => void;
  /** Its output was destroyed before its end (null: nobody wants it any more); resolves with what that shall say. */
  readonly breakOff: (error: Error | null) => Promise<Error | null>;
}

/** @param onOver told first: null where the process ended by itself, else why it is ended */
function lifeOf(
  started: Attached,
  onOver: (reason: Error | null) => void,
  signal: AbortSignal,
): Life {
  const { docker, request, channel } = started;
  const { promise: exited, resolve, reject } = Promise.withResolvers<ExecExit>();
  // Whoever does not wait for it learns the same from the streams.
  exited.catch(() => null);

  async function abandon(reason: Error): Promise<void> {
    onOver(reason);
    channel.socket.destroy();
    await endProcess(started);
    reject(signal.aborted ? signal.reason : reason);
  }

  /** Throws, after `abandon`, where it cannot be found out. */
  async function findExit(): Promise<ExecExit> {
    try {
      onOver(null);
      const exit = await readExit(docker, channel, request, signal);
      if (exit.ending === 'connection-cut') {
        await endProcess(started);
      }
      resolve(exit);
      return exit;
    } catch (error) {
      const reason = toError(error);
      await abandon(reason);
      throw reason;
    }
  }

  return {
    exited,
    conclude() {
      // `exited` tells it.
      findExit().catch(() => null);
    },
    async breakOff(error) {
      if (!(error instanceof StreamCut)) {
        await abandon(error ?? givenUp(request));
        return error;
      }
      try {
        return cutFailure(toolOf(request), await findExit(), error);
      } catch (reason) {
        return toError(reason);
      }
    },
  };
}

/**
 * Ends what one exec started. Docker answers before the process is there to be found, so it is looked for until Docker says
 * that it is over. It has a failure to tell already: that this failed too must not hide it, and the next run sweeps.
 */
async function endProcess(started: Started): Promise<void> {
  await killUntilOver(started, AbortSignal.timeout(KILL_TIMEOUT_MS)).catch(() => null);
}

async function killUntilOver(
  { docker, request, mark, channel }: Started,
  signal: AbortSignal,
): Promise<void> {
  const { containerId, container, user = null } = request;
  for (;;) {
    await killRun(docker, { containerId, container, user }, { exec: mark }, signal);
    if (channel === null || !(await isExecRunning(docker, channel, request, signal))) {
      return;
    }
    await delay(KILL_AGAIN_MS, undefined, { signal });
  }
}

function idleMsOf(request: ExecRequest): number {
  return request.idleMs ?? (request.stdin === 'pipe' ? 0 : DUMP_IDLE_MS);
}

function toolOf({ argv, container }: ExecRequest): FailedTool {
  return { tool: programName(argv), code: 'target-unavailable', container };
}

function silentFor(request: ExecRequest): BackupdError {
  const seconds = Math.round(idleMsOf(request) / 1000);
  return new BackupdError(
    'timeout',
    `${programName(request.argv)} in container "${request.container}" was silent for ${seconds} s and was ended`,
    {
      hint: 'It waits for something: a lock, a frozen server, a full disk. Look at the server in that container.',
    },
  );
}

function givenUp(request: ExecRequest): BackupdError {
  return new BackupdError(
    'cancelled',
    `${programName(request.argv)} in container "${request.container}" was ended before its end`,
  );
}
