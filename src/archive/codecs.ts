import type { Transform } from 'node:stream';
import {
  constants,
  createGunzip,
  createGzip,
  createZstdCompress,
  createZstdDecompress,
  zstdCompressSync,
} from 'node:zlib';
import type { Compression } from '../core/manifest.ts';
import { tap, type Tap } from './tap.ts';
import { zstdFrame, ZstdFrameError } from './zstd-frame.ts';

export type Encoded = Exclude<Compression, 'none'>;

/**
 * How much an encoder or decoder gives at once: the default of 16 KiB costs a fifth of the speed, 256 KiB win nothing more
 * and cost some 10 MB of memory.
 */
const CHUNK_BYTES = 64 * 1024;

/** zstd's checksum of the content. Never workers beside it: node:zlib fails with them from some size on. */
const CHECKSUM = { [constants.ZSTD_c_checksumFlag]: 1 };

/** What node:zlib writes behind a frame that ended just where its output buffer did. */
const EMPTY_FRAME = zstdCompressSync(Buffer.alloc(0), { params: CHECKSUM });

/** The streams, one behind the other, that compress; none where nothing is to be done. */
export function encoders(how: {
  readonly algorithm: Compression;
  readonly level: number;
}): readonly Transform[] {
  if (how.algorithm === 'zstd') {
    const params = { ...CHECKSUM, [constants.ZSTD_c_compressionLevel]: how.level };
    return [createZstdCompress({ chunkSize: CHUNK_BYTES, params }), tap(firstFrame())];
  }
  return how.algorithm === 'gzip' ? [createGzip({ chunkSize: CHUNK_BYTES, level: how.level })] : [];
}

/** A stream that decompresses and fails on what is cut or damaged. To be fed through `singleFrame`. */
export function decoder(algorithm: Encoded): Transform {
  const options = { chunkSize: CHUNK_BYTES, rejectGarbageAfterEnd: true };
  return algorithm === 'zstd' ? createZstdDecompress(options) : createGunzip(options);
}

/** Fails on compressed bytes that are not exactly one frame, where the decoder would not: it drops or decodes what follows. */
export function singleFrame(algorithm: Encoded): Tap {
  if (algorithm === 'gzip') {
    // Here the decoder itself refuses whatever follows.
    return { chunk: (bytes) => bytes, end: () => undefined };
  }
  const frame = zstdFrame();
  return {
    chunk(bytes) {
      if (frame.push(bytes) < bytes.length) {
        throw new ZstdFrameError('has bytes after the end of its zstd frame');
      }
      return bytes;
    },
    end() {
      // Before 24.21, Node's decoder takes a cut frame for a whole one.
      if (!frame.whole) {
        throw new ZstdFrameError('ends before its zstd frame does');
      }
    },
  };
}

/** Passes the first frame on and drops an empty one behind it. */
function firstFrame(): Tap {
  const frame = zstdFrame();
  const rest: Uint8Array[] = [];
  return {
    chunk(bytes) {
      const frameBytes = frame.push(bytes);
      if (frameBytes < bytes.length) {
        rest.push(bytes.subarray(frameBytes));
      }
      return bytes.subarray(0, frameBytes);
    },
    end() {
      const behind = Buffer.concat(rest);
      if (!frame.whole || (behind.length > 0 && !behind.equals(EMPTY_FRAME))) {
        throw new Error('node:zlib wrote something else than one zstd frame');
      }
    },
  };
}
