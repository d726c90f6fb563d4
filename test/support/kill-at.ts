/**
 * Kills its own process at a named step (src/core/steps.ts), as a power cut there would: `node --import kill-at.ts`.
 * `KILL_AT=<step>[:<n>]` says where and at which passing, the first by default; the file `KILL_MARKER` is written before,
 * so that a test can tell that the point was hit.
 */
import { subscribe } from 'node:diagnostics_channel';
import { fsyncSync, openSync, writeSync } from 'node:fs';
import { env, kill, pid } from 'node:process';

const [step = '', count = '1'] = (env['KILL_AT'] ?? '').split(':');
const marker = env['KILL_MARKER'] ?? '/backups/.killed-at';
let left = Number(count);

subscribe('backupd:step', (passed) => {
  if (passed === step) {
    left -= 1;
    if (left === 0) {
      die();
    }
  }
});

function die(): void {
  const file = openSync(marker, 'w');
  writeSync(file, step);
  fsyncSync(file);
  kill(pid, 'SIGKILL');
  // Nothing may happen any more, should the signal take a moment.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
