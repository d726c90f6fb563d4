import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const SCRIPT = join(import.meta.dirname, 'store-process.ts');

export interface StoreProcess {
  readonly signal: NodeJS.Signals | null;
  /** The last line it wrote, parsed; null where it wrote none. */
  readonly said: unknown;
}

/** Starts `store-process.ts`; the caller ends it. */
export function startStoreProcess(
  action: string,
  dir: string,
  argument = '',
  user: { readonly uid?: number } = {},
): ChildProcess {
  return spawn(process.execPath, [SCRIPT, action, dir, argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...user,
  });
}

/** Runs `store-process.ts` to its end. @throws where it failed other than by a signal */
export async function runStoreProcess(
  action: string,
  dir: string,
  argument: string | number = '',
  user: { readonly uid?: number } = {},
): Promise<StoreProcess> {
  const child = startStoreProcess(action, dir, String(argument), user);
  if (child.stdout === null) {
    throw new Error('no stdout');
  }
  const [output, [code, signal]] = await Promise.all([
    text(child.stdout),
    once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  if (signal === null && code !== 0) {
    throw new Error(`${action} exited with ${code}`);
  }
  const last = output.trim().split('\n').at(-1) ?? '';
  return { signal, said: last === '' ? null : (JSON.parse(last) as unknown) };
}
