import { BackupdError } from '../../core/errors.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import { startExec, type ExecProcess } from '../../docker/exec.ts';
import type { Bson } from './bson.ts';
import type { Connection } from './connection.ts';

/** A connection to the server: one message there, one back. */
export interface Wire extends AsyncDisposable {
  /** @throws BackupdError `target-unavailable` where the connection ended */
  exchange(document: Bson): Promise<Bson>;
}

/**
 * $0: what it is called, $1: the port. Bytes go to the server and back, and nothing is looked at on the way. Whichever side ends first
 * ends the other.
 */
const RELAY = `
exec 4<&0 3<>"/dev/tcp/127.0.0.1/$1" || exit 3
cat <&3 3<&- 4<&- &
cat <&4 >&3 4<&- 3>&- &
wait -n
kill $(jobs -p) 2>/dev/null
exit 0`;

/** Header, flags, and the kind of the one section that follows. */
const HEADER_BYTES = 21;
const OP_MSG = 2013;
/** A reply holds a little more than the longest document. */
const LONGEST_MESSAGE = 64 * 1024 * 1024;

/** Opens a connection through a process in the container, so that nothing has to be reachable from outside. */
export async function openWire(
  { docker, containerId, container, run, port }: Connection,
  signal: AbortSignal,
): Promise<Wire> {
  const argv = ['bash', '-c', RELAY, 'relay', String(port)];
  const request = { containerId, container, run, argv, stdin: 'pipe' as const };
  const process = await startExec(docker, request, signal);
  const output = (process.stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let read: Buffer = Buffer.alloc(0);
  let requestId = 0;

  async function take(bytes: number): Promise<Buffer> {
    const pieces = [read];
    let length = read.length;
    while (length < bytes) {
      const next = await output.next();
      if (next.done === true) {
        throw await ended(process, container);
      }
      pieces.push(next.value);
      length += next.value.length;
    }
    const all = Buffer.concat(pieces);
    read = all.subarray(bytes);
    return all.subarray(0, bytes);
  }

  return {
    async exchange(document) {
      requestId += 1;
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeInt32LE(HEADER_BYTES + document.length, 0);
      header.writeInt32LE(requestId, 4);
      header.writeInt32LE(OP_MSG, 12);
      if (process.stdin?.writable === true) {
        process.stdin.write(Buffer.concat([header, document]));
      }
      const length = (await take(4)).readInt32LE();
      if (length <= HEADER_BYTES || length > LONGEST_MESSAGE) {
        throw strange(container);
      }
      const message = await take(length - 4);
      const answers = message.readInt32LE(4);
      if (answers !== requestId || message.readInt32LE(8) !== OP_MSG || message[16] !== 0) {
        throw strange(container);
      }
      return message.subarray(HEADER_BYTES - 4);
    },
    async [Symbol.asyncDispose]() {
      process.stdin?.end();
      process.stdout.resume();
      // Nothing is left to be learnt from how it ended.
      await process.exited.catch(() => null);
    },
  };
}

async function ended(process: ExecProcess, container: string): Promise<BackupdError> {
  const exit = await process.exited;
  return new BackupdError(
    'target-unavailable',
    `the connection to the server in "${container}" ended: ${reasonOf(exit, process.stderr.text())}`,
    { hint: `See its log: docker logs ${container}` },
  );
}

function strange(container: string): BackupdError {
  return new BackupdError(
    'target-unavailable',
    `what answers in "${container}" is no MongoDB server`,
    { hint: 'Set backupd.engine to what it really is.' },
  );
}
