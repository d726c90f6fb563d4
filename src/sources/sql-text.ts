import { BackupdError } from '../core/errors.ts';
import type { StreamReader } from '../core/source.ts';

/** The last line of a script, by which it is known to be whole. */
export const COMPLETE_LINE = '-- backupd: complete\n';

/** Checks that a script ends with its last line. */
export function sqlReader(): StreamReader {
  const ending = Buffer.from(`\n${COMPLETE_LINE}`);
  let tail = Buffer.alloc(0);
  return {
    push(plain) {
      tail = Buffer.concat([tail, plain.subarray(-ending.length)]).subarray(-ending.length);
    },
    end() {
      if (!tail.equals(ending)) {
        throw new BackupdError('archive-corrupt', 'does not end with its last line');
      }
      return {};
    },
  };
}
