import type { ConfigProblem } from '../core/discovery.ts';
import { BackupdError, type Failure } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import type { App } from '../jobs/context.ts';
import { parseCommand, wantsJson, type Command } from './arguments.ts';
import type { CommandLog } from './command-log.ts';
import { checkProblems, destinationNeeds } from './config-problems.ts';
import {
  bugLines,
  exitCodeOf,
  failureJson,
  failureLines,
  failureOf,
  notWritten,
} from './failure-text.ts';
import { HANDLERS, type AppCommand, type Handler } from './handlers.ts';
import { helpText } from './help.ts';
import { flush, guardStream, type Io } from './io.ts';
import { output, type Output } from './output.ts';

export interface AppOptions {
  /** What a person would call this process, for lock files: `backup db`. */
  readonly command: string;
  /**
   * `read` changes nothing in `/backups`, so that it may be mounted read-only; `report` is the same, and does without it
   * where it cannot be opened.
   */
  readonly access: 'read' | 'write' | 'report';
  /** The destination that the command reads from, whose namespace an unused directory takes over; null: none. */
  readonly from: string | null;
  /** Whether the command looks for a backup at all destinations where it is not here: then such a directory takes over theirs. */
  readonly searches?: boolean;
  /** Told what is wrong with the configuration before anything is opened; throws where that must not be. */
  readonly admit: (problems: readonly ConfigProblem[]) => void;
  /** Told what happens, beside the listeners that the app has of its own. */
  readonly emit: Emit;
}

/** What the command line needs of the rest. */
export interface CommandDeps {
  /** Puts everything together; who opens it decides which problems of the configuration matter. */
  openApp(options: AppOptions, signal: AbortSignal): Promise<App>;
  /** Resolves with the exit code; has its own way with signals. */
  runDaemon(app: App): Promise<number>;
  readonly io: Io;
  readonly version: string;
}

/** How long work may take to clear up after a bug. */
const CLEAR_UP_WITHIN_MS = 10_000;

/** Runs one command line to its end and says how it ended. @returns the exit code */
export async function runCommand(argv: readonly string[], deps: CommandDeps): Promise<number> {
  const { io } = deps;
  const stdout = guardStream(io.stdout);
  guardStream(io.stderr);
  const out = output(io, wantsJson(argv));
  const stopping = new AbortController();
  let exitCode: number;
  try {
    exitCode = await execute(parseCommand(argv), out, deps, stopping);
    await flush(io.stdout);
    const failure = stdout.failure();
    if (failure !== null) {
      throw notWritten(failure);
    }
  } catch (error) {
    const failure = failureOf(error, stopping.signal);
    report(failure, error, out, deps);
    exitCode = exitCodeOf(failure);
  }
  out.close();
  await flush(io.stderr);
  return exitCode;
}

async function execute(
  command: Command,
  out: Output,
  deps: CommandDeps,
  stopping: AbortController,
): Promise<number> {
  if (command.name === 'help') {
    deps.io.stdout.write(helpText(command.topic));
    return 0;
  }
  if (command.name === 'version') {
    out.print(`backupd ${deps.version}`);
    out.printJson({ version: deps.version });
    return 0;
  }
  if (command.name === 'daemon') {
    const app = await deps.openApp(
      {
        command: 'daemon',
        access: 'write',
        from: null,
        admit: (problems) => {
          checkProblems(problems, null);
        },
        // The daemon has its log.
        emit: () => undefined,
      },
      stopping.signal,
    );
    return deps.runDaemon(app);
  }
  return executeOnApp(command, out, deps, stopping);
}

async function executeOnApp(
  command: AppCommand,
  out: Output,
  deps: CommandDeps,
  stopping: AbortController,
): Promise<number> {
  // The table has for each name the handler of just that command, which the compiler cannot follow through the union.
  const handler = HANDLERS[command.name] as Handler<typeof command>;
  await out.showProgress();
  const stop = deps.io.onSignal((name) => {
    out.note(`${name}: stopping, and clearing up; once more to end at once`);
    stopping.abort(new BackupdError('cancelled', `cancelled by ${name}`));
  });
  try {
    return await untilFault(
      async (signal) => {
        const told: Emit[] = [out.emit];
        const app = await deps.openApp(
          {
            command: describeCommand(command),
            access: handler.access,
            from: destinationOf(command),
            searches: command.name === 'show' || command.name === 'cat',
            admit: (problems) => {
              checkProblems(problems, needsOf(command, handler));
            },
            emit: (event) => {
              for (const emit of told) {
                emit(event);
              }
            },
          },
          signal,
        );
        const run = await handler.load();
        if (handler.access !== 'write') {
          return run(command, app, out, signal);
        }
        const { commandLog } = await import('./command-log.ts');
        const log = commandLog(app.settings, app.context.command);
        if (log !== null) {
          told.push(log.emit);
        }
        return logged(() => run(command, app, out, signal), log, signal);
      },
      deps.io,
      stopping.signal,
    );
  } finally {
    stop();
  }
}

/** What changes something says how it ended where that outlives the terminal, too. */
async function logged(
  work: () => Promise<number>,
  log: CommandLog | null,
  signal: AbortSignal,
): Promise<number> {
  try {
    const exitCode = await work();
    log?.done(exitCode);
    return exitCode;
  } catch (error) {
    log?.failed(error, signal);
    throw error;
  }
}

/**
 * Does the work, unless an error that nobody caught shows a bug: then the work is told to stop, has some time to clear
 * up, and the bug is how it ended.
 */
async function untilFault(
  work: (signal: AbortSignal) => Promise<number>,
  io: Io,
  stopping: AbortSignal,
): Promise<number> {
  const faulty = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  let deadline: NodeJS.Timeout | undefined;
  const stopListening = io.onFault((error) => {
    faulty.abort(error);
    deadline ??= setTimeout(() => {
      reject(error);
    }, CLEAR_UP_WITHIN_MS);
  });
  try {
    return await Promise.race([work(AbortSignal.any([stopping, faulty.signal])), late]);
  } finally {
    stopListening();
    clearTimeout(deadline);
    // However the work ended: the bug is what has to be told.
    faulty.signal.throwIfAborted();
  }
}

function destinationOf(command: AppCommand): string | null {
  return 'from' in command ? command.from : null;
}

/** Who reads from a destination needs what is configured about it. */
function needsOf(command: AppCommand, { needs }: Pick<Handler<never>, 'needs'>): typeof needs {
  const from = destinationOf(command);
  return needs === null || from === null ? needs : [...needs, ...destinationNeeds(from)];
}

function describeCommand(command: AppCommand): string {
  if (command.name === 'backup') {
    return ['backup', ...command.sources].join(' ');
  }
  const name =
    command.name === 'undo' || command.name === 'drop-previous'
      ? `restore --${command.name}`
      : command.name;
  if (command.name === 'upload' && command.destination !== null) {
    return `upload ${command.destination}`;
  }
  const dryRun = 'dryRun' in command && command.dryRun ? ' --dry-run' : '';
  return 'source' in command && command.source !== null
    ? `${name} ${command.source}${dryRun}`
    : `${name}${dryRun}`;
}

function report(
  failure: Failure,
  thrown: unknown,
  out: Output,
  { io, version }: CommandDeps,
): void {
  if (out.json) {
    io.stderr.write(`${failureJson(failure)}\n`);
    return;
  }
  out.note(...failureLines(failure));
  if (failure.code === 'internal') {
    out.note(...bugLines(thrown, version));
  }
}
