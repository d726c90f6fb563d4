import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';

/** Stands before Docker's socket, as a proxy does, and does what a bad one would. */
export interface DockerRelay extends AsyncDisposable {
  /** For the container that is to use it, with `env`. */
  readonly volumes: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Of the socket, on the host. */
  readonly path: string;
  /** Passes everything on, as at the beginning. */
  pass(): Promise<void>;
  /** Answers 403 to requests whose first line matches. */
  forbid(request: RegExp): void;
  /** Takes everything and answers nothing, on connections that there are as well. */
  silence(): void;
  /** Ends every connection that has bytes on the way back, within a frame; new ones are passed on. */
  cutWithin(): void;
  /** Ends everything and takes nothing, as where the engine is stopped. */
  leave(): Promise<void>;
}

interface State {
  forbidden: RegExp | null;
  isSilent: boolean;
  /** Connections that began before this number are cut at their next bytes. */
  cutBefore: number;
}

export async function dockerRelay(): Promise<DockerRelay> {
  const folder = await mkdtemp(join(tmpdir(), 'backupd-relay-'));
  const path = join(folder, 'docker.sock');
  const state: State = { forbidden: null, isSilent: false, cutBefore: 0 };
  const clients = new Set<Socket>();
  let connections = 0;
  let server: Server | null = null;

  function accept(client: Socket): void {
    connections += 1;
    const number = connections;
    clients.add(client);
    client.once('close', () => clients.delete(client));
    client.on('error', () => client.destroy());
    client.once('data', (first: Buffer) => {
      client.pause();
      const [line = ''] = first.toString('latin1').split('\r\n');
      if (state.forbidden?.test(line) === true) {
        client.end(FORBIDDEN);
      } else {
        passOn(client, first, { state, number });
      }
    });
  }

  async function listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server = createServer({ allowHalfOpen: true }, accept);
    server.once('error', reject).listen(path, resolve);
    await promise;
    // Whoever backupd runs as.
    await chmod(path, 0o666);
  }

  async function leave(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (server === null) {
      return;
    }
    server.close(() => {
      resolve();
    });
    server = null;
    for (const client of clients) {
      client.destroy();
    }
    await promise;
  }

  await listen();
  return {
    volumes: [`${folder}:/relay`],
    env: { DOCKER_HOST: 'unix:///relay/docker.sock' },
    path,
    async pass() {
      state.forbidden = null;
      state.isSilent = false;
      if (server === null) {
        await listen();
      }
    },
    forbid(request) {
      state.forbidden = request;
    },
    silence() {
      state.isSilent = true;
    },
    cutWithin() {
      state.cutBefore = connections + 1;
    },
    leave,
    async [Symbol.asyncDispose]() {
      await leave();
      await rm(folder, { recursive: true });
    },
  };
}

const BODY = '{"message":"forbidden by the proxy"}';
const FORBIDDEN = `HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\nConnection: close\r\n\r\n${BODY}`;

interface Connection {
  readonly state: State;
  readonly number: number;
}

function passOn(client: Socket, first: Buffer, { state, number }: Connection): void {
  const engine = connect({ path: '/var/run/docker.sock', allowHalfOpen: true });
  client.once('close', () => engine.destroy());
  engine.on('error', () => client.destroy());
  const back = new Transform({
    transform(chunk: Buffer, _encoding, tell) {
      if (state.isSilent) {
        // Never told that it may go on.
        return;
      }
      if (number < state.cutBefore) {
        client.end(chunk.subarray(0, -3));
        engine.destroy();
        return;
      }
      tell(null, chunk);
    },
  });
  if (!state.isSilent) {
    engine.write(first);
    client.pipe(engine).pipe(back).pipe(client);
  }
}
