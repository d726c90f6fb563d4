import { randomBytes } from 'node:crypto';
import { reasonOf } from '../../docker/exec-failure.ts';
import { startExec, type ExecProcess } from '../../docker/exec.ts';
import type { Connection } from './connection.ts';
import { clientRequest, type Answer } from './query.ts';

/** A client that stays: to start one in a container takes longer than most questions. They are asked one after the other. */
export interface ClientSession {
  ask(input: Buffer, signal: AbortSignal): Promise<Answer>;
}

interface Client {
  readonly process: ExecProcess;
  readonly output: AsyncIterator<Buffer>;
}

/** Does work on a connection whose questions all go to one client. An error ends that one; the next question starts another. */
export async function withSession<Result>(
  connection: Connection,
  signal: AbortSignal,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  let client: Client | null = null;
  let queue: Promise<unknown> = Promise.resolve();

  async function ask(input: Buffer): Promise<Answer> {
    const asked = client ?? (await startClient(connection, signal));
    // One that fails in whatever way is not asked again.
    client = null;
    const answer = await askClient(asked, input);
    client = answer.refused === null ? asked : null;
    return answer;
  }

  const session: ClientSession = {
    async ask(input, asked) {
      const answer = queue.then(async () => {
        asked.throwIfAborted();
        return ask(input);
      });
      queue = answer.catch(() => null);
      return answer;
    },
  };
  try {
    return await work({ ...connection, session });
  } finally {
    await queue;
    await endClient(client);
  }
}

async function startClient(connection: Connection, signal: AbortSignal): Promise<Client> {
  // It flushes what it prints after each statement.
  const request = clientRequest(connection, ['--unbuffered']);
  const process = await startExec(connection.docker, { ...request, stdin: 'pipe' }, signal);
  const output = (process.stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  return { process, output };
}

/** Sends statements and reads what they print, up to a token that nothing else can print. */
async function askClient({ process, output }: Client, input: Buffer): Promise<Answer> {
  const token = `backupd-${randomBytes(12).toString('hex')}`;
  const end = Buffer.from(`${token}\n`);
  if (process.stdin?.writable === true) {
    process.stdin.write(Buffer.concat([input, Buffer.from(`select '${token}';\n`)]));
  }
  const printed: Buffer[] = [];
  for (;;) {
    const next = await output.next();
    if (next.done === true) {
      const exit = await process.exited;
      return {
        printed: '',
        refused:
          exit.exitCode === 0
            ? 'the client ended before its time'
            : reasonOf(exit, process.stderr.text()),
      };
    }
    printed.push(next.value);
    if (endsWith(printed, end)) {
      const whole = Buffer.concat(printed);
      return { printed: whole.toString('utf8', 0, whole.length - end.length), refused: null };
    }
  }
}

function endsWith(pieces: readonly Buffer[], end: Buffer): boolean {
  let last = pieces.at(-1) ?? Buffer.alloc(0);
  for (let index = pieces.length - 2; index >= 0 && last.length < end.length; index -= 1) {
    last = Buffer.concat([pieces[index] ?? Buffer.alloc(0), last]);
  }
  return last.subarray(-end.length).equals(end);
}

async function endClient(client: Client | null): Promise<void> {
  if (client !== null) {
    client.process.stdin?.end();
    client.process.stdout.resume();
    // Nothing is left to be learnt from how it ended.
    await client.process.exited.catch(() => null);
  }
}
