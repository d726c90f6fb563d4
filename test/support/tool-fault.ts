import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProcess } from './run-process.ts';
import { waitFor } from './wait-for.ts';

/** What the pg_dump of a target does beside its work; see `target/pg_dump`. */
export type ToolFaultMode = `stall ${number}` | `devour ${number}` | 'die' | 'mute';

/** Makes the real pg_dump of a target stop, or fail, at a known point. */
export interface ToolFault extends AsyncDisposable {
  /** For the target's container. */
  readonly volumes: readonly string[];
  /** From the next dump on. */
  set(mode: ToolFaultMode): Promise<void>;
  /** Waits until a dump has come to its point. */
  reached(): Promise<void>;
  /** Lets a dump that stalls go on. */
  release(): Promise<void>;
  /** From the next dump on nothing is in its way. */
  clear(): Promise<void>;
}

export async function toolFault(): Promise<ToolFault> {
  const folder = await mkdtemp(join(tmpdir(), 'backupd-fault-'));
  // Whoever the target runs as.
  await chmod(folder, 0o777);
  await runProcess(['mkfifo', '-m', '666', join(folder, 'gate')]);
  return {
    volumes: [
      `${join(import.meta.dirname, 'target', 'pg_dump')}:/usr/local/bin/pg_dump:ro`,
      `${folder}:/fault`,
    ],
    async set(mode) {
      await rm(join(folder, 'reached'), { force: true });
      await writeFile(join(folder, 'mode'), `${mode}\n`);
    },
    async reached() {
      await waitFor('dump at its point', async () =>
        (await stat(join(folder, 'reached'))).isFile(),
      );
    },
    async release() {
      await writeFile(join(folder, 'gate'), '\n');
    },
    async clear() {
      await rm(join(folder, 'mode'), { force: true });
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
