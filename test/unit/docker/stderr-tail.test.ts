import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stderrTail } from '../../../src/docker/stderr-tail.ts';

const KEPT = 64 * 1024;

/** Pushes one buffer that is overwritten each time, as a reader that reuses its memory would. */
function push(tail: ReturnType<typeof stderrTail>, text: string): void {
  const bytes = Buffer.from(text);
  tail.push(bytes);
  bytes.fill('#');
}

describe('stderrTail', () => {
  it('keeps all of what fits', () => {
    const tail = stderrTail();
    push(tail, 'one\n');
    push(tail, 'two\n');
    expect(tail.text()).toBe('one\ntwo\n');
  });

  it('keeps head and tail, and says how much is left out', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 8 }),
        (sizes) => {
          const tail = stderrTail();
          let all = '';
          for (const [index, size] of sizes.entries()) {
            const text = `${index}:`.padEnd(size, String.fromCodePoint(97 + index)).slice(0, size);
            all += text;
            push(tail, text);
          }
          const leftOut = all.length - 2 * KEPT;
          expect(tail.text()).toBe(
            leftOut <= 0
              ? all
              : `${all.slice(0, KEPT)}\n[... ${leftOut} bytes left out ...]\n${all.slice(-KEPT)}`,
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  it('gives lines however they are cut, in characters of several bytes too', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 10 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (raw, cuts) => {
          const wanted = raw.map((line) => line.replaceAll(/[\r\n]/g, ' '));
          const bytes = Buffer.from(wanted.map((line) => `${line}\n`).join(''));
          const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
            (one, other) => one - other,
          );
          const lines: string[] = [];
          const tail = stderrTail((line) => lines.push(line));
          for (const [index, edge] of edges.slice(1).entries()) {
            tail.push(Buffer.from(bytes.subarray(edges[index], edge)));
          }
          tail.end();
          expect(lines).toEqual(wanted);
        },
      ),
    );
  });

  it('gives the last line without a newline at the end, and drops carriage returns', () => {
    const lines: string[] = [];
    const tail = stderrTail((line) => lines.push(line));
    push(tail, 'one\r\nlast');
    expect(lines).toEqual(['one']);
    tail.end();
    expect(lines).toEqual(['one', 'last']);
  });

  it('cuts a line that does not end', () => {
    const lines: string[] = [];
    const tail = stderrTail((line) => lines.push(line));
    for (let count = 0; count < 20; count += 1) {
      push(tail, 'x'.repeat(10_000));
    }
    expect(lines.length).toBe(2);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(KEPT + 10_000);
  });
});
