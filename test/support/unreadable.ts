import { chmod } from 'node:fs/promises';

const NOBODY = 65_534;

/** Until it is disposed this process is not root, who may read everything; what a test makes meanwhile is its own. */
export function notRoot(): Disposable {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) {
    process.seteuid?.(NOBODY);
  }
  return {
    [Symbol.dispose]() {
      if (isRoot) {
        process.seteuid?.(0);
      }
    },
  };
}

/** Nobody but root can read it until it is disposed. */
export async function unreadable(path: string): Promise<AsyncDisposable> {
  await chmod(path, 0o000);
  return { [Symbol.asyncDispose]: () => chmod(path, 0o700) };
}
