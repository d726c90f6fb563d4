import { describe, expect, it } from 'vitest';
import { output } from '../../../src/cli/output.ts';
import type { RunEvent } from '../../../src/core/events.ts';
import { fakeIo } from './support.ts';

const STEP: RunEvent = {
  type: 'restore-progress',
  source: 'db',
  stage: 'load',
  database: 'shop',
  bytes: null,
  totalBytes: null,
};
const WARNING: RunEvent = {
  type: 'backup-warning',
  source: 'db',
  warning: { code: 'x', message: 'look at this' },
};

describe('on a terminal', () => {
  it.each([80, 0, undefined])(
    'draws the progress where its width is said to be %s',
    async (columns) => {
      const io = fakeIo({ isTerminal: true });
      Object.assign(io.stderr, { columns });
      const out = output(io, false);
      await out.showProgress();
      out.emit(STEP);
      expect(io.err()).toBe('\r\u001B[Kdb: load shop, 0s');
    },
  );

  it('takes the bar away before it prints anything, and at the end', async () => {
    const io = fakeIo({ isTerminal: true });
    const out = output(io, false);
    await out.showProgress();
    out.emit(STEP);
    out.emit(WARNING);
    expect(io.err()).toContain('0s\r\u001B[K\u001B[33mwarning: \u001B[39mdb: look at this\n');
    out.emit(STEP);
    out.close();
    expect(io.err()).toMatch(/\r\u001B\[K$/); // oxlint-disable-line no-control-regex
  });
});

describe('with --json', () => {
  it('says one document on stdout and nothing on stderr, whatever happens', async () => {
    const io = fakeIo({ isTerminal: true });
    const out = output(io, true);
    await out.showProgress();
    out.emit(STEP);
    out.emit(WARNING);
    out.emit({ type: 'recovered', source: 'db', what: 'x' });
    out.note('beside');
    out.print('for people');
    out.printJson({ a: [1, null] });
    out.close();
    expect(out.interactive).toBe(false);
    expect(io.out()).toBe('{"a":[1,null]}\n');
    expect(io.err()).toBe('');
  });
});

describe('without --json', () => {
  it('says on stderr what happened beside the work', () => {
    const io = fakeIo();
    const out = output(io, false);
    out.emit(WARNING);
    out.emit({ type: 'recovered', source: 'db', what: 'swapping: finished' });
    out.emit({ type: 'recovery-postponed', source: 'db', reason: 'it is stopped' });
    out.emit({ type: 'run-skipped', source: 'db', reason: 'x' });
    out.printJson({});
    expect(io.out()).toBe('');
    expect(io.err()).toBe(
      [
        'warning: db: look at this',
        'db: cleared up after a process that had died: swapping: finished',
        'warning: db: could not clear up yet: it is stopped',
        '',
      ].join('\n'),
    );
  });
});
