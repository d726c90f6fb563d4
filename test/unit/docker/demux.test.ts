import * as fc from 'fast-check';
import { PassThrough, type Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { demultiplex, StreamCut } from '../../../src/docker/demux.ts';
import { containing, matching } from '../../support/matchers.ts';

type Frame = readonly [type: number, payload: Uint8Array];

function framed(frames: readonly Frame[]): Buffer {
  return Buffer.concat(
    frames.flatMap(([type, payload]) => {
      const header = Buffer.alloc(8);
      header[0] = type;
      header.writeUInt32BE(payload.length, 4);
      return [header, Buffer.from(payload)];
    }),
  );
}

function payloads(frames: readonly Frame[], isWanted: (type: number) => boolean): Buffer {
  return Buffer.concat(frames.filter(([type]) => isWanted(type)).map(([, bytes]) => bytes));
}

/** Copies: the demultiplexer owns what it is given and moves bytes in it. */
function cutAt(bytes: Buffer, positions: readonly number[]): Buffer[] {
  const edges = [0, ...positions.map((at) => at % (bytes.length + 1)), bytes.length].toSorted(
    (one, other) => one - other,
  );
  return edges
    .slice(1)
    .map((edge, index) => Buffer.from(bytes.subarray(edges[index], edge)))
    .filter((chunk) => chunk.length > 0);
}

async function read(
  chunks: readonly Buffer[],
): Promise<{ stdout: Buffer; stderr: Buffer; error: unknown }> {
  const source = new PassThrough();
  const stderr: Buffer[] = [];
  const stdout = demultiplex(source, { onStderr: (bytes) => stderr.push(Buffer.from(bytes)) });
  for (const chunk of chunks) {
    source.write(chunk);
  }
  source.end();
  const { bytes, error } = await drain(stdout);
  return { stdout: bytes, stderr: Buffer.concat(stderr), error };
}

async function drain(stream: Readable): Promise<{ bytes: Buffer; error: unknown }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
    }
    return { bytes: Buffer.concat(chunks), error: null };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error };
  }
}

const frame = fc.tuple(
  fc.constantFrom(0, 1, 1, 1, 2),
  fc.uint8Array({ maxLength: 300 }),
) satisfies fc.Arbitrary<Frame>;
const positions = fc.array(fc.nat(), { maxLength: 30 });

describe('demultiplex', () => {
  it('takes streams apart however they are cut into chunks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 20 }), positions, async (frames, cuts) => {
        const { stdout, stderr, error } = await read(cutAt(framed(frames), cuts));
        expect(error).toBeNull();
        expect(stdout.equals(payloads(frames, (type) => type !== 2))).toBe(true);
        expect(stderr.equals(payloads(frames, (type) => type === 2))).toBe(true);
      }),
    );
  });

  it('fails wherever within a frame the stream ends', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(frame, { minLength: 1, maxLength: 8 }),
        fc.nat(),
        positions,
        async (frames, at, cuts) => {
          const whole = framed(frames);
          const edges = new Set<number>([0]);
          for (let count = 1; count <= frames.length; count += 1) {
            edges.add(framed(frames.slice(0, count)).length);
          }
          const end = at % whole.length;
          const { error } = await read(cutAt(whole.subarray(0, end), cuts));
          if (edges.has(end)) {
            expect(error).toBeNull();
          } else {
            expect(error).toBeInstanceOf(StreamCut);
          }
        },
      ),
    );
  });

  it('fails where the source breaks off between frames, but not by its end', async () => {
    const source = new PassThrough();
    const stdout = demultiplex(source, { onStderr() {} });
    source.write(framed([[1, Buffer.from('all there is')]]));
    const drained = drain(stdout);
    source.destroy();
    expect((await drained).error).toBeInstanceOf(StreamCut);
  });

  it.each([
    ['a page of a proxy', '<html><h1>504 Gateway Time-out', /it begins with <html><h1>504/],
    ['an answer in JSON', '{"message":"page not found"}', /it begins with \{"message"/],
  ])('quotes %s', async (_name, text, message) => {
    const { error } = await read([Buffer.from(text)]);
    expect(error).toMatchObject({
      code: 'target-unavailable',
      message: matching(message),
    });
  });

  it('quotes no data where it lost the frames', async () => {
    const { error, stdout } = await read([
      framed([[1, Buffer.from('fine')]]),
      Buffer.from('<secret data without a header'),
    ]);
    expect(stdout.toString()).toBe('');
    expect(error).toMatchObject({
      code: 'target-unavailable',
      message: 'the exec stream is not framed as Docker frames it: no frame begins at byte 12',
    });
  });

  it('refuses a header whose zero bytes are not zero', async () => {
    const bytes = framed([[1, Buffer.from('x')]]);
    bytes[2] = 1;
    expect((await read([bytes])).error).toMatchObject({ code: 'target-unavailable' });
  });

  it('tells what the daemon itself reports', async () => {
    const { error } = await read([framed([[3, Buffer.from('cannot read the stream')]])]);
    expect(error).toMatchObject({ message: containing('cannot read the stream') });
  });

  it('reads no more from the source than a bounded amount while nobody reads from it', async () => {
    const chunk = framed([[1, Buffer.alloc(60 * 1024, 7)]]);
    let given = 0;
    const source = new PassThrough({ highWaterMark: 64 * 1024 });
    const stdout = demultiplex(source, { onStderr() {} });
    stdout.read(0);
    await new Promise<void>((resolve) => {
      function give(): void {
        // Sixteen megabytes are far more than all buffers between hold.
        while (given < 256 && source.write(Buffer.from(chunk))) {
          given += 1;
        }
        if (given === 256) {
          resolve();
        }
      }
      source.on('drain', give);
      give();
      // Once everything is full no drain comes: the queue of ready events runs empty with the source still held up.
      let quietRounds = 0;
      function look(): void {
        quietRounds = source.writableNeedDrain && source.isPaused() ? quietRounds + 1 : 0;
        if (quietRounds > 20) {
          resolve();
        } else {
          setImmediate(look);
        }
      }
      look();
    });
    expect(source.isPaused()).toBe(true);
    expect(given * chunk.length).toBeLessThan(1024 * 1024);
    stdout.destroy();
  });

  it('joins the frames of a chunk into one piece', async () => {
    const source = new PassThrough();
    const stdout = demultiplex(source, { onStderr() {} });
    source.end(
      framed([
        [1, Buffer.from('one ')],
        [2, Buffer.from('aside')],
        [1, Buffer.from('two ')],
        [1, Buffer.from('three')],
      ]),
    );
    const pieces: string[] = [];
    for await (const piece of stdout as AsyncIterable<Buffer>) {
      pieces.push(piece.toString());
    }
    expect(pieces).toEqual(['one two three']);
  });

  it('destroys the source with itself, and closes only after it was told what to say', async () => {
    const source = new PassThrough();
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<Error>();
    const stdout = demultiplex(source, {
      onStderr() {},
      onDestroy: async () => {
        asked.resolve();
        return answered.promise;
      },
    });
    const failed = new Promise<Error>((resolve) => {
      stdout.once('error', resolve);
    });
    stdout.destroy(new Error('given up'));
    await asked.promise;
    expect(source.destroyed).toBe(true);
    expect(stdout.closed).toBe(false);
    answered.resolve(new Error('dead now'));
    expect((await failed).message).toBe('dead now');
  });
});
