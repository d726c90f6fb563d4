import { BackupdError, type Failure } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import type { App } from '../jobs/context.ts';
import { parseCommand, wantsJson, type Command } from './arguments.ts';
import { checkProblems } from './config-problems.ts';
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
  /** `read` changes nothing in `/backups`, so that it may be mounted read-only. */
  readonly access: 'read' | 'write';
  /** Told what happens, beside the listeners that the app has of its own. */
  readonly emit: Emit;
}

/** What the command line needs of the rest. */
export interface CommandDeps {
  /** Problems of the configuration are in the app, none is thrown; who opens it decides which of them matter. */
  openApp(options: AppOptions): Promise<App>;
  /** Resolves with the exit code; has its own way with signals. */
  runDaemon(app: App): Promise<number>;
  readonly io: Io;
  readonly version: string;
}

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
    const app = await deps.openApp({
      command: 'daemon',
      access: 'write',
      // The daemon has its log.
      emit: () => undefined,
    });
    checkProblems(app.problems, null);
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
  const stop = deps.io.onSignal((name) => {
    out.note(`${name}: stopping, and clearing up; once more to end at once`);
    stopping.abort(new BackupdError('cancelled', `cancelled by ${name}`));
  });
  try {
    const app = await deps.openApp({
      command: describeCommand(command),
      access: handler.access,
      emit: out.emit,
    });
    checkProblems(app.problems, handler.needs);
    const run = await handler.load();
    return await run(command, app, out, stopping.signal);
  } finally {
    stop();
  }
}

function describeCommand(command: AppCommand): string {
  if (command.name === 'backup') {
    return ['backup', ...command.sources].join(' ');
  }
  const name =
    command.name === 'undo' || command.name === 'drop-previous'
      ? `restore --${command.name}`
      : command.name;
  return 'source' in command && command.source !== null ? `${name} ${command.source}` : name;
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
