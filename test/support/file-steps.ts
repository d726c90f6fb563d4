import promises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

type Callable = (...args: unknown[]) => Promise<unknown>;

const CHANGES = ['open', 'mkdir', 'rename', 'rm', 'utimes', 'chmod'] as const;
const HANDLE_CHANGES = ['writeFile', 'write', 'writev', 'sync', 'chmod', 'truncate'] as const;

/**
 * Tells of every step that this process takes on the file system, before it is taken: `rename manifest.json`. Must be
 * called before the module under test is imported.
 */
export async function watchFileSteps(onStep: (step: string) => void): Promise<void> {
  const functions = promises as unknown as Record<string, Callable>;
  const paths = new WeakMap<object, string>();
  const probe = await promises.open('/dev/null', 'r');
  const prototype = Object.getPrototypeOf(probe) as Record<string, Callable>;
  await probe.close();
  for (const name of CHANGES) {
    const original = functions[name] as Callable;
    functions[name] = async (...args) => {
      const path = shorten(String(args[name === 'rename' ? 1 : 0]));
      if (name !== 'open' || args[1] !== 'r') {
        onStep(`${name} ${path}`);
      }
      const result = await original.apply(promises, args);
      if (name === 'open') {
        paths.set(result as FileHandle, path);
      }
      return result;
    };
  }
  for (const name of HANDLE_CHANGES) {
    const original = prototype[name] as Callable;
    prototype[name] = function step(this: FileHandle, ...args) {
      onStep(`${name} ${paths.get(this) ?? '?'}`);
      return original.apply(this, args);
    };
  }
  syncBuiltinESMExports();
}

/** Temporary names are random. */
function shorten(path: string): string {
  return basename(path).replace(/\.[0-9a-f]{12}\.tmp$/, '.tmp');
}
