/** Follows one zstd frame through a stream, without decoding it (RFC 8878, section 3.1.1). */
export interface ZstdFrame {
  /**
   * Takes the next bytes of the stream.
   * @returns how many of them belong to the frame: fewer than all once the frame has ended
   * @throws ZstdFrameError where the bytes are no frame
   */
  push(bytes: Uint8Array): number;
  /** Whether the frame has ended. */
  readonly whole: boolean;
}

/** What is wrong with a frame; whoever knows the file says which. */
export class ZstdFrameError extends Error {
  override readonly name = 'ZstdFrameError';
}

const MAGIC = 0xfd_2f_b5_28;
const START_BYTES = 5;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;

/**
 * Finds the end of a zstd frame, which node:zlib does not: it stops at the first end it sees, or goes on with the next
 * frame, depending on how the bytes were cut. The frame must carry a checksum.
 */
export function zstdFrame(): ZstdFrame {
  const header = new Uint8Array(START_BYTES);
  let headerBytes = 0;
  let wantedBytes = START_BYTES;
  let skipBytes = 0;
  let started = false;
  let last = false;
  let whole = false;

  function start(): void {
    skipBytes = frameHeaderRest(header);
    wantedBytes = BLOCK_HEADER_BYTES;
    started = true;
  }

  function block(): void {
    const word = byte(header, 0) | (byte(header, 1) << 8) | (byte(header, 2) << 16);
    last = (word & 1) === 1;
    skipBytes = blockBytes(word) + (last ? CHECKSUM_BYTES : 0);
  }

  function push(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && !whole) {
      if (skipBytes > 0) {
        const skipped = Math.min(skipBytes, bytes.length - at);
        skipBytes -= skipped;
        at += skipped;
      } else {
        header[headerBytes] = byte(bytes, at);
        headerBytes += 1;
        at += 1;
        if (headerBytes === wantedBytes) {
          headerBytes = 0;
          (started ? block : start)();
        }
      }
      whole = last && skipBytes === 0;
    }
    return at;
  }

  return {
    push,
    get whole() {
      return whole;
    },
  };
}

/** How many bytes of the frame's header follow its first five. */
function frameHeaderRest(start: Uint8Array): number {
  const magic = new DataView(start.buffer, start.byteOffset).getUint32(0, true);
  const descriptor = byte(start, START_BYTES - 1);
  if (magic !== MAGIC) {
    throw new ZstdFrameError('is no zstd frame');
  }
  if ((descriptor & 0b100) === 0) {
    throw new ZstdFrameError('is a zstd frame without a checksum');
  }
  const singleSegment = (descriptor & 0b10_0000) !== 0;
  const dictionaryIdBytes = byte([0, 1, 2, 4], descriptor & 0b11);
  const contentSizeBytes = byte([singleSegment ? 1 : 0, 2, 4, 8], descriptor >> 6);
  return (singleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes;
}

/** How many bytes follow a block's header: a raw block, one byte that repeats, or a compressed block. */
function blockBytes(word: number): number {
  const type = (word >> 1) & 0b11;
  if (type === 3) {
    throw new ZstdFrameError('is damaged: a zstd block of an unknown kind');
  }
  return type === 1 ? 1 : word >> 3;
}

function byte(bytes: ArrayLike<number>, at: number): number {
  return bytes[at] ?? 0;
}
