import { basename } from 'node:path';
import { BackupdError, type FailureCode } from '../core/errors.ts';
import type { Ending, ExecExit } from './channel.ts';

/** Whose failure it is. */
export interface FailedTool {
  readonly tool: string;
  readonly code: FailureCode;
  readonly container: string;
}

const ENDINGS = {
  itself: null,
  'not-started': 'it could not be started',
  'container-stopped': 'the container stopped',
  'container-out-of-memory': 'the container ran out of memory and stopped',
  'container-restarted': 'the container was restarted',
  'container-removed': 'the container was removed',
  'connection-cut': 'the connection to Docker was cut while it ran',
} as const satisfies Record<Ending, string | null>;

const KILLED = 128 + 9;
const SHOWN_CHARACTERS = 500;
const CAUSE_CHARACTERS = 4096;

/** The failure of a tool that did not exit with 0, with what it said that tells most; the end of its stderr is the cause. */
export function toolFailure(of: FailedTool, exit: ExecExit, stderr: string): BackupdError {
  const said = tellingLine(stderr);
  const message = [
    `${of.tool} in container "${of.container}" ${outcome(exit)}`,
    ...(said === null ? [] : [said]),
  ].join(': ');
  const cause = stderr.trim() === '' ? undefined : new Error(stderr.slice(-CAUSE_CHARACTERS));
  return new BackupdError(of.code, message, { hint: hintFor(exit), cause });
}

/** The failure where the stream broke off, whatever the exit code says. */
export function cutFailure(of: FailedTool, exit: ExecExit, cause: unknown): BackupdError {
  return new BackupdError(
    of.code,
    `the output of ${of.tool} in container "${of.container}" broke off: ${ENDINGS[exit.ending] ?? outcome(exit)}`,
    { hint: hintFor(exit), cause },
  );
}

function outcome({ exitCode, ending }: ExecExit): string {
  const happened = ENDINGS[ending];
  const code = exitCode === null ? 'gave no exit code' : `exited with ${exitCode}`;
  if (happened !== null) {
    return `${code}, ${happened}`;
  }
  return exitCode === KILLED ? `was killed (exit code ${KILLED}), maybe for lack of memory` : code;
}

const NEXT_RUN = 'See its log (docker logs) for the reason. The next run begins anew.';

const HINTS = {
  itself: 'What it said is the reason; the log of the container (docker logs) may say more.',
  'not-started': 'The program must be in the image of the container, and on its PATH.',
  'container-stopped': NEXT_RUN,
  'container-out-of-memory': 'Give the container more memory (mem_limit in the compose file).',
  'container-restarted': NEXT_RUN,
  'container-removed': 'The next run looks for the container that took its place.',
  'connection-cut':
    'A proxy before Docker that ends long or quiet connections must be given more time ("backupd check --silence 11m" tries that), or the Docker engine was restarted.',
} as const satisfies Record<Ending, string>;

const KILLED_HINT =
  'Give the container more memory, or find out who sent it SIGKILL: dmesg on the host names the victims of the out-of-memory killer.';

function hintFor({ exitCode, ending }: ExecExit): string {
  return ending === 'itself' && exitCode === KILLED ? KILLED_HINT : HINTS[ending];
}

/** Why a tool ended, for a message that names it already: what happened to all around it, and what it said that tells most. */
export function reasonOf({ ending }: Pick<ExecExit, 'ending'>, stderr: string): string {
  const reasons = [ENDINGS[ending], tellingLine(stderr)].filter((reason) => reason !== null);
  return reasons.length === 0 ? 'it ended and said nothing' : reasons.join(': ');
}

/** What shells say of a process that a signal ended, and tar at its end, and the exit code says as well. */
const SAYS_NOTHING: ReadonlySet<string> = new Set([
  'Killed',
  'Terminated',
  'tar: Error is not recoverable: exiting now',
  'tar: Exiting with failure status due to previous errors',
]);

/** The first line that calls itself an error, since the later ones follow from it; else the last one there is. */
export function tellingLine(stderr: string): string | null {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !SAYS_NOTHING.has(line));
  const line = lines.find((text) => /\b(?:error|fatal|panic|failed):/i.test(text)) ?? lines.at(-1);
  return line?.slice(0, SHOWN_CHARACTERS) ?? null;
}

/** What is run, as a person calls it: without its folder; for a script given to a shell, the name it is given as $0. */
export function programName(argv: readonly string[]): string {
  const [program = 'nothing', option, , name = program] = argv;
  return basename(option === '-c' ? name : program);
}
