import { untilRuns } from './processes.ts';
import type { TestContainer } from './test-container.ts';

/** Nothing else sleeps so long. */
const LONG = 'sleep 86399';

/** $REAL: the program itself. */
const HINDRANCES = {
  'dies half-way': '"$REAL" "$@" | head -c 20000; kill -9 $$',
  'dies after its last byte': '"$REAL" "$@"; kill -9 $$',
  'stops half-way': `"$REAL" "$@" | { head -c 20000; exec ${LONG}; }`,
} as const;

/** Puts a tool before the real one that dumps as that does, but ends otherwise; disposing it takes it away. */
export async function hinderTool(
  server: TestContainer,
  tool: string,
  how: keyof typeof HINDRANCES,
): Promise<AsyncDisposable & { untilStopped(): Promise<void> }> {
  // The first place where programs are looked for; images have their own in any of the others.
  const path = `/usr/local/sbin/${tool}`;
  const found = await server.exec(['sh', '-c', `command -v ${tool}`]);
  const script = `#!/bin/sh
REAL=${found.stdout.trim()}
case " $* " in *' --version '*) exec "$REAL" "$@" ;; esac
${HINDRANCES[how]}
`;
  const placed = await server.exec(['sh', '-c', `cat >${path} && chmod 755 ${path}`], {
    user: 'root',
    input: script,
  });
  if (placed.exitCode !== 0) {
    throw new Error(`${tool} could not be replaced: ${placed.stderr}`);
  }
  return {
    untilStopped: async () => untilRuns(server.name, LONG),
    async [Symbol.asyncDispose]() {
      await server.exec(['rm', '-f', path], { user: 'root' });
    },
  };
}
