import { untilRuns } from './processes.ts';
import type { TestContainer } from './test-container.ts';

/** Where a program is found before the real one. */
const PATH = '/usr/local/bin/pg_dump';
const REAL = '/usr/bin/pg_dump';
/** Nothing else sleeps so long. */
const LONG = 'sleep 86399';

const HINDRANCES = {
  'dies half-way': `${REAL} "$@" | head -c 20000; kill -9 $$`,
  'dies after its last byte': `${REAL} "$@"; kill -9 $$`,
  'stops half-way': `${REAL} "$@" | { head -c 20000; exec ${LONG}; }`,
} as const;

/** Puts a pg_dump before the real one that dumps as that does, but ends otherwise; disposing it takes it away. */
export async function hinderPgDump(
  server: TestContainer,
  how: keyof typeof HINDRANCES,
): Promise<AsyncDisposable & { untilStopped(): Promise<void> }> {
  await placeProgram(server, HINDRANCES[how]);
  return {
    untilStopped: async () => untilRuns(server.name, LONG),
    async [Symbol.asyncDispose]() {
      await server.exec(['rm', '-f', PATH], { user: 'root' });
    },
  };
}

/** Runs this shell command wherever pg_dump is called to dump. */
async function placeProgram(server: TestContainer, command: string): Promise<void> {
  const script = `#!/bin/sh
case " $* " in *' --version '*) exec ${REAL} "$@" ;; esac
${command}
`;
  const placed = await server.exec(['sh', '-c', `cat >${PATH} && chmod 755 ${PATH}`], {
    user: 'root',
    input: script,
  });
  if (placed.exitCode !== 0) {
    throw new Error(`pg_dump could not be replaced: ${placed.stderr}`);
  }
}
