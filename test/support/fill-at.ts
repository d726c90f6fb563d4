/**
 * Fills the disk under `/backups` at a named step (src/core/steps.ts): `node --import fill-at.ts`.
 * `FILL_AT=<step>` says where; `FILL_LEAVE` how many bytes stay free, none by default. `/backups/.filler` takes the room,
 * which also tells a test that the point was hit.
 */
import { subscribe } from 'node:diagnostics_channel';
import { closeSync, ftruncateSync, fstatSync, openSync, writeSync } from 'node:fs';
import { env } from 'node:process';

subscribe('backupd:step', (passed) => {
  if (passed === env['FILL_AT']) {
    fill(Number(env['FILL_LEAVE'] ?? 0));
  }
});

function fill(leaveBytes: number): void {
  const file = openSync('/backups/.filler', 'a');
  for (const size of [1024 * 1024, 4096, 1]) {
    while (doesFit(file, size)) {
      // Until nothing goes in any more.
    }
  }
  ftruncateSync(file, fstatSync(file).size - leaveBytes);
  closeSync(file);
}

function doesFit(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) === size;
  } catch {
    // Full, which is what was wanted.
    return false;
  }
}
