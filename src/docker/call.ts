import type Docker from 'dockerode';
import { BackupdError } from '../core/errors.ts';

/** One call to Docker's API, for messages. */
export interface ApiCall {
  /** As the API documents it: `POST /containers/{id}/exec`. */
  readonly name: string;
  /** The container it is about, by the name a person knows it by. */
  readonly container?: string;
  /** How long Docker may take to answer; default: a minute. */
  readonly timeoutMs?: number;
}

/** A healthy engine answers in milliseconds, one on a machine that swaps in seconds; beyond this it is dead. */
const CALL_TIMEOUT_MS = 60_000;

/**
 * Makes one call to Docker that is not a stream: ends with the signal, or when Docker does not answer in time.
 * @throws BackupdError `target-unavailable` for every way Docker can refuse or be away, with Docker's error as its cause;
 *   the signal's reason where that was aborted.
 */
export async function callDocker<T>(
  docker: Docker,
  call: ApiCall,
  work: (abortSignal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const ending = new AbortController();
  const { promise: interrupted, reject: interrupt } = Promise.withResolvers<never>();
  function onAbort(): void {
    interrupt(signal.reason);
    ending.abort();
  }
  const timer = setTimeout(() => {
    interrupt(noAnswer(docker, call));
    ending.abort();
  }, call.timeoutMs ?? CALL_TIMEOUT_MS);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    // The library never settles where a connection breaks within an answer, so its promise alone is not waited for.
    return await Promise.race([work(ending.signal), interrupted]);
  } catch (error) {
    signal.throwIfAborted();
    throw toDockerError(docker, call, error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** What Docker answered to a call that failed: the HTTP status, null where there was no answer. */
export function dockerStatus(error: unknown): number | null {
  const cause = error instanceof BackupdError ? error.cause : error;
  return (cause as { readonly statusCode?: number } | undefined)?.statusCode ?? null;
}

/** Whether a status says that something before Docker forbids the call: Docker itself answers none of these. */
export function isForbiddenStatus(status: number): boolean {
  return status === 401 || status === 403 || status === 405;
}

/** Where Docker is looked for: the path of a socket, or host and port. */
export function describeEndpoint(docker: Docker): string {
  const modem = docker.modem as {
    readonly socketPath?: string;
    readonly host?: string;
    readonly port?: string | number;
  };
  return modem.socketPath ?? `${modem.host ?? 'localhost'}:${modem.port ?? ''}`;
}

/** An answer that is not what Docker gives: something else listens there. */
export function strangeAnswer(docker: Docker, call: ApiCall): BackupdError {
  return new BackupdError(
    'target-unavailable',
    `${describeEndpoint(docker)} does not answer ${call.name} as Docker does`,
    { hint: 'Check DOCKER_HOST: something else than Docker, or a broken proxy, listens there.' },
  );
}

function noAnswer(docker: Docker, call: ApiCall): BackupdError {
  return new BackupdError(
    'target-unavailable',
    `Docker at ${describeEndpoint(docker)} did not answer ${call.name} within ${(call.timeoutMs ?? CALL_TIMEOUT_MS) / 1000} s`,
    { hint: 'Check whether the Docker engine is alive: docker info should answer at once.' },
  );
}

/** What the library and Node raise, as one error that says what to do. What is no failure of Docker's stays as it is. */
function toDockerError(docker: Docker, call: ApiCall, error: unknown): unknown {
  if (error instanceof BackupdError || !(error instanceof Error)) {
    return error;
  }
  if (dockerStatus(error) !== null) {
    return refused(docker, call, error as HttpError);
  }
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error : unreachable(docker, call, { error, code });
}

interface HttpError extends Error {
  readonly statusCode: number;
  readonly json?: { readonly message?: string } | string | null;
}

const FORBIDDEN_HINT =
  'Allow this call in the proxy before the Docker socket (docker-socket-proxy: CONTAINERS=1, EXEC=1, IMAGES=1, POST=1; for volumes VOLUMES=1), or mount the socket itself. "backupd check" names every call that is forbidden; docs/least-privilege.md has rules to copy.';

function refused(docker: Docker, call: ApiCall, error: HttpError): BackupdError {
  const container = call.container === undefined ? 'Docker' : `container "${call.container}"`;
  const said = wordsOf(error);
  if (isForbiddenStatus(error.statusCode)) {
    return new BackupdError(
      'target-unavailable',
      `${describeEndpoint(docker)} forbids ${call.name} (HTTP ${error.statusCode})`,
      { cause: error, hint: FORBIDDEN_HINT },
    );
  }
  switch (error.statusCode) {
    case 404:
      return new BackupdError(
        'target-unavailable',
        call.container === undefined ? `Docker knows nothing of it: ${said}` : `no ${container}`,
        {
          cause: error,
          hint: 'It was removed or recreated. docker ps -a lists what there is.',
        },
      );
    case 409:
      return new BackupdError('target-unavailable', `${container} cannot be used: ${said}`, {
        cause: error,
        hint: 'Start or unpause the container.',
      });
    default:
      return new BackupdError(
        'target-unavailable',
        `Docker failed at ${call.name} (HTTP ${error.statusCode}): ${said}`,
        { cause: error, hint: 'The log of the Docker engine says more.' },
      );
  }
}

function wordsOf(error: HttpError): string {
  const said =
    typeof error.json === 'object' && typeof error.json?.message === 'string'
      ? error.json.message
      : error.message;
  return said.trim().replaceAll(/\s+/g, ' ').slice(0, 300);
}

function unreachable(
  docker: Docker,
  call: ApiCall,
  { error, code }: { readonly error: Error; readonly code: string },
): BackupdError {
  const endpoint = describeEndpoint(docker);
  switch (code) {
    case 'ENOENT':
      return new BackupdError('target-unavailable', `no Docker socket at ${endpoint}`, {
        cause: error,
        hint: 'Mount the socket into the container (-v /var/run/docker.sock:/var/run/docker.sock), or set DOCKER_HOST.',
      });
    case 'EACCES':
    case 'EPERM':
      return new BackupdError(
        'target-unavailable',
        `permission denied on the Docker socket ${endpoint}`,
        {
          cause: error,
          hint: `Give the container the socket's group: group_add with the number that stat -c %g ${endpoint} prints on the host.`,
        },
      );
    case 'ECONNREFUSED':
      return new BackupdError('target-unavailable', `nothing answers at ${endpoint}`, {
        cause: error,
        hint: 'Start the Docker engine (or the proxy before it), or correct DOCKER_HOST.',
      });
    default:
      return new BackupdError(
        'target-unavailable',
        `the connection to Docker at ${endpoint} failed during ${call.name}: ${error.message}`,
        { cause: error, hint: 'Check DOCKER_HOST, and whether the Docker engine is alive.' },
      );
  }
}
