import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { findGpgHomes, PLACES, PREFIX } from './gpg-places.ts';
import { TOOL_ENVIRONMENT } from './gpg-process.ts';

/** A folder for gpg, of mode 0700, that is gone with all that works in it when it is disposed. */
export interface GpgHome extends AsyncDisposable {
  readonly path: string;
}

/** Its owner listens on it: whether that one still lives can so be told from any container that shares the folder. */
const OWNER = 'owner';
/** One that is being made has no owner yet. */
const MAKING_MS = 60_000;

/** Makes an empty home; removes those that dead processes left. @throws BackupdError `storage-unavailable` */
export async function openGpgHome(): Promise<GpgHome> {
  await sweepGpgHomes();
  const failures: string[] = [];
  for (const place of PLACES) {
    try {
      return await makeHome(place);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new BackupdError(
    'storage-unavailable',
    `there is no place for the keys of gpg: ${failures.join('; ')}`,
    { hint: 'Mount something small in memory at /tmp, in compose with "tmpfs: /tmp".' },
  );
}

/** Removes the homes of processes that died, and ends what they left running in them. */
export async function sweepGpgHomes(): Promise<void> {
  for (const path of await findGpgHomes()) {
    if (await isAbandoned(path)) {
      await removeHome(path);
    }
  }
}

async function makeHome(place: string): Promise<GpgHome> {
  const path = await mkdtemp(join(place, PREFIX));
  const owner = createServer((socket) => {
    socket.destroy();
  });
  owner.unref();
  try {
    await listen(owner, join(path, OWNER));
    // Of its own accord the agent would look for smart cards.
    await writeFile(join(path, 'gpg-agent.conf'), 'disable-scdaemon\n');
  } catch (error) {
    owner.close();
    await rm(path, { recursive: true, force: true });
    throw error;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      await removeHome(path);
      owner.close();
    },
  };
}

async function listen(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, 'listening');
}

/** Of another user's nothing is known, so it is left to them. */
async function isAbandoned(path: string): Promise<boolean> {
  const code = await connectTo(join(path, OWNER));
  if (code === 'ENOENT') {
    const { ctimeMs } = await stat(path).catch(() => ({ ctimeMs: Date.now() }));
    return Date.now() - ctimeMs > MAKING_MS;
  }
  return code === 'ECONNREFUSED';
}

/** The code of the error; null where somebody listens. */
async function connectTo(path: string): Promise<string | null> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  } finally {
    socket.destroy();
  }
}

/** An agent would end by itself where its folder is gone, only later. */
async function removeHome(path: string): Promise<void> {
  const ending = spawn('gpgconf', ['--homedir', path, '--kill', 'gpg-agent'], {
    env: TOOL_ENVIRONMENT,
    stdio: 'ignore',
  });
  // Where it cannot be run, no agent was.
  await once(ending, 'close').catch(() => null);
  await rm(path, { recursive: true, force: true, maxRetries: 5 });
}
