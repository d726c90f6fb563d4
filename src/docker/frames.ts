import { BackupdError } from '../core/errors.ts';

/** Where the payload of an exec stream goes. The slices are views into what was pushed: copy what is kept. */
export interface FrameSink {
  stdout(bytes: Buffer): void;
  stderr(bytes: Buffer): void;
}

/** Takes the raw bytes of an exec stream, in pieces of any size, apart into what the process wrote. */
export interface FrameReader {
  /** @throws BackupdError `target-unavailable` where the bytes are not Docker's framing. */
  push(chunk: Buffer): void;
  /** Whether the stream may end here: not within a frame. */
  isWhole(): boolean;
}

const HEADER_BYTES = 8;
const STDERR = 2;
/** The daemon reports a failure of its own with it (moby, pkg/stdcopy). */
const SYSTEM_ERROR = 3;
const SHOWN_BYTES = 200;

/**
 * A reader of Docker's multiplexed stream: frames of one byte type (0 and 1 stdout, 2 stderr), three zero bytes, the
 * length as big-endian uint32, and the payload. Copies nothing but headers that are cut by the end of a chunk.
 */
export function frameReader(sink: FrameSink): FrameReader {
  const header = Buffer.alloc(HEADER_BYTES);
  let headerBytes = 0;
  let isStderr = false;
  let payloadLeft = 0;
  let position = 0;

  function readHeader(chunk: Buffer, at: number): number {
    const taken = Math.min(HEADER_BYTES - headerBytes, chunk.length - at);
    chunk.copy(header, headerBytes, at, at + taken);
    headerBytes += taken;
    checkHeader(header.subarray(0, headerBytes), chunk.subarray(at + taken), position + at);
    if (headerBytes === HEADER_BYTES) {
      headerBytes = 0;
      isStderr = header[0] === STDERR;
      payloadLeft = header.readUInt32BE(4);
    }
    return at + taken;
  }

  return {
    push(chunk) {
      let at = 0;
      while (at < chunk.length) {
        if (payloadLeft === 0) {
          at = readHeader(chunk, at);
          continue;
        }
        const end = Math.min(chunk.length, at + payloadLeft);
        const payload = chunk.subarray(at, end);
        payloadLeft -= end - at;
        at = end;
        if (isStderr) {
          sink.stderr(payload);
        } else {
          sink.stdout(payload);
        }
      }
      position += chunk.length;
    },
    isWhole: () => headerBytes === 0 && payloadLeft === 0,
  };
}

/** What is quoted is only what cannot be data: the words of the daemon, or of a proxy that answered in its place. */
function checkHeader(header: Buffer, behind: Buffer, position: number): void {
  const [type = 0, ...zeros] = header.subarray(0, 4);
  const isFrame = zeros.every((byte) => byte === 0);
  if (isFrame && type <= STDERR) {
    return;
  }
  if (isFrame && type === SYSTEM_ERROR) {
    throw new BackupdError(
      'target-unavailable',
      `Docker reported an error in the exec stream: ${printable(behind)}`,
    );
  }
  const isAnswer = position < HEADER_BYTES && (type === 0x3c || type === 0x7b);
  const found = isAnswer
    ? `it begins with ${printable(Buffer.concat([header, behind]))}`
    : `no frame begins at byte ${position}`;
  throw new BackupdError(
    'target-unavailable',
    `the exec stream is not framed as Docker frames it: ${found}`,
    {
      hint: 'Something between backupd and Docker answered in its place or changed the stream. Check DOCKER_HOST and the proxy there.',
    },
  );
}

function printable(bytes: Buffer): string {
  return bytes
    .subarray(0, SHOWN_BYTES)
    .toString('latin1')
    .replaceAll(/[^\x20-\x7E]+/g, ' ')
    .trim();
}
