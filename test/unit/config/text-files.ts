import type { ReadText } from '../../../src/config/environment.ts';

/** Reads files out of a record; others are not there. */
export function textFiles(files: Readonly<Record<string, string>>): ReadText {
  return async (path) => {
    const text = files[path];
    return text === undefined
      ? Promise.reject(new Error(`ENOENT: no such file or directory, open '${path}'`))
      : Promise.resolve(text);
  };
}
