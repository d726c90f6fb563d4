import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from './storage.ts';

const FOLDER = '/clock';

/** A wall clock of one's own for the processes of a backupd container, daemon and commands alike; see `clock.ts`. */
export interface TestClock extends AsyncDisposable {
  /** For the container, which has `test/support` at `/faults`. */
  readonly env: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  /** Makes it this time now. */
  set(instant: string): Promise<void>;
}

/** A clock that shows this time. */
export async function testClock(instant: string): Promise<TestClock> {
  const { dir, [Symbol.asyncDispose]: dispose } = await temporaryFolder();
  const file = join(dir, 'shift');

  async function set(to: string): Promise<void> {
    // Renamed, so that nobody reads half of it.
    await writeFile(`${file}.new`, String(Date.parse(to) - Date.now()));
    await rename(`${file}.new`, file);
  }

  await set(instant);
  return {
    env: { NODE_OPTIONS: '--import /faults/clock.ts', CLOCK_FILE: `${FOLDER}/shift` },
    volumes: [`${dir}:${FOLDER}:ro`],
    set,
    [Symbol.asyncDispose]: dispose,
  };
}
