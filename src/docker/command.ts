import type Docker from 'dockerode';
import type { CommandResult, CommandTarget } from '../core/halts.ts';
import { startExec } from './exec.ts';
import { stderrTail } from './stderr-tail.ts';

/** What is kept of what a command prints. */
const KEPT_CHARACTERS = 2000;

/**
 * Runs a command in the shell of a container, as its default user, and keeps the end of what it prints.
 * @throws BackupdError `target-unavailable` where it cannot be started, or Docker does not say how it ended
 */
export async function runCommand(
  docker: Docker,
  { containerId, container }: CommandTarget,
  { command, name, run }: { readonly command: string; readonly name: string; readonly run: string },
  signal: AbortSignal,
): Promise<CommandResult> {
  const process = await startExec(
    docker,
    {
      containerId,
      container,
      run,
      // What it says is read as one text.
      argv: ['sh', '-c', 'exec sh -c "$1" 2>&1', name, command],
      idleMs: 0,
    },
    signal,
  );
  const printed = stderrTail();
  for await (const chunk of process.stdout as AsyncIterable<Buffer>) {
    printed.push(chunk);
  }
  const { exitCode } = await process.exited;
  const output = `${printed.text()}${process.stderr.text()}`.trim();
  return { exitCode, output: output.slice(-KEPT_CHARACTERS) };
}
