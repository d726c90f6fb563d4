import type Docker from 'dockerode';
import { readFileSync } from 'node:fs';
import type { Agent, AgentOptions } from 'node:http';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { BackupdError } from '../core/errors.ts';
import { callDocker, strangeAnswer } from './call.ts';

/** What talks to Docker takes a fifth of a command's start, and a command such as `list` never does. */
const load = createRequire(import.meta.url);

const DEFAULT_SOCKET = '/var/run/docker.sock';
const PORTS = { plain: 2375, tls: 2376 } as const;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A client of the Docker engine that the environment names, as the Docker CLI reads `DOCKER_HOST`, `DOCKER_TLS_VERIFY`
 * and `DOCKER_CERT_PATH`. Opens no connection yet.
 * @throws BackupdError `config-invalid` for a host that cannot be used, or certificates that cannot be read.
 */
export function connectDocker(env: Environment): Docker {
  const host = env['DOCKER_HOST']?.trim() ?? '';
  if (host === '') {
    return unixClient(DEFAULT_SOCKET);
  }
  const [, scheme = 'tcp', rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/s.exec(host) ?? [];
  if (scheme === 'unix') {
    return unixClient(rest === '' ? DEFAULT_SOCKET : rest);
  }
  if (scheme === 'tcp') {
    return tcpClient(host, rest, env);
  }
  throw invalidHost(host);
}

/** Its types forget that this call takes a signal too. */
interface VersionClient {
  version(options: { readonly abortSignal: AbortSignal }): Promise<{ readonly Version?: unknown }>;
}

/** Looks whether Docker answers. @throws BackupdError `target-unavailable` */
export async function pingDocker(
  docker: Docker,
  signal: AbortSignal,
): Promise<{ readonly engineVersion: string }> {
  const call = { name: 'GET /version' };
  const answer = await callDocker(
    docker,
    call,
    async (abortSignal) => (docker as VersionClient).version({ abortSignal }),
    signal,
  );
  if (typeof answer.Version !== 'string') {
    throw strangeAnswer(docker, call);
  }
  return { engineVersion: answer.Version };
}

/** Made when it is first used. */
function client(options: () => ClientOptions): Docker {
  let made: Docker | null = null;
  return new Proxy({} as Docker, {
    get(_, name) {
      made ??= newClient(options());
      return Reflect.get(made, name) as unknown;
    },
  });
}

/** Its types forget the agent. */
type ClientOptions = Docker.DockerOptions & { readonly agent: Agent };

/**
 * The library writes out the options of every request for a debug log that nobody reads, and
 * with the agent all that hangs on it, sockets included: 2 to 9 of the 3 to 10 ms of processor time that a call takes, and 90 ms
 * of the first one (measured).
 */
function newClient(options: ClientOptions): Docker {
  const Client = load('dockerode') as typeof Docker;
  Object.defineProperty(options.agent, inspect.custom, { value: () => 'agent' });
  return new Client(options);
}

// Not imported: an import of a built-in module touches each of its exports, and that of `fetch`'s WebSocket loads all of undici.
function newAgent(scheme: 'http' | 'https', options: AgentOptions = {}): Agent {
  const { Agent } = process.getBuiltinModule(`node:${scheme}`);
  return new Agent({ keepAlive: false, ...options });
}

/** A Unix socket has no name to be verified; to find that out by itself takes an agent 20 ms, once. Its types forget the option. */
const NAMELESS = { servername: '' } as AgentOptions;

/**
 * Every option is given, so that the library takes none from the process's environment. Connections are not kept for a
 * next call: one that the other side closes in that moment would fail it, and a new one costs nothing.
 */
function unixClient(socketPath: string): Docker {
  return client(() => ({
    socketPath,
    host: undefined,
    port: undefined,
    protocol: 'http',
    ca: undefined,
    cert: undefined,
    key: undefined,
    timeout: undefined,
    agent: newAgent('http', NAMELESS),
  }));
}

function tcpClient(host: string, address: string, env: Environment): Docker {
  const url = URL.parse(`tcp://${address}`);
  if (url === null || url.hostname === '' || !['', '/'].includes(url.pathname)) {
    throw invalidHost(host);
  }
  const isTls = (env['DOCKER_TLS_VERIFY'] ?? '') !== '';
  const common = { socketPath: undefined, host: url.hostname, timeout: undefined };
  if (!isTls) {
    return client(() => ({
      ...common,
      port: url.port === '' ? PORTS.plain : url.port,
      protocol: 'http',
      ca: undefined,
      cert: undefined,
      key: undefined,
      agent: newAgent('http'),
    }));
  }
  const folder = env['DOCKER_CERT_PATH'] ?? join(homedir(), '.docker');
  // Read now: what cannot be read is told before anything is done.
  const certificates = {
    ca: readCertificate(folder, 'ca.pem'),
    cert: readCertificate(folder, 'cert.pem'),
    key: readCertificate(folder, 'key.pem'),
  };
  return client(() => ({
    ...common,
    port: url.port === '' ? PORTS.tls : url.port,
    protocol: 'https',
    ...certificates,
    agent: newAgent('https'),
  }));
}

function readCertificate(folder: string, name: string): Buffer {
  const path = join(folder, name);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new BackupdError('config-invalid', `cannot read ${path}, which DOCKER_TLS_VERIFY needs`, {
      cause: error,
      hint: 'DOCKER_CERT_PATH must name the folder with ca.pem, cert.pem and key.pem.',
    });
  }
}

function invalidHost(host: string): BackupdError {
  return new BackupdError('config-invalid', `DOCKER_HOST "${host}" cannot be used`, {
    hint: 'Use unix:///path/of/the.sock or tcp://host:port.',
  });
}
