/**
 * Shifts the wall clock of its own process, as one that is set wrong, or set anew while it runs: `node --import clock.ts`.
 * The file `CLOCK_FILE` says by how many milliseconds, read again whenever the time is asked for; time that passes
 * (timers, `performance.now`) stays as it is, as it does when a clock is set.
 */
import { readFileSync } from 'node:fs';
import { env } from 'node:process';

const RealDate = Date;
const file = env['CLOCK_FILE'] ?? '/backups/.clock';

function now(): number {
  return RealDate.now() + Number(readFileSync(file, 'utf8'));
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date,
  get: (target, name, receiver) =>
    name === 'now' ? now : (Reflect.get(target, name, receiver) as unknown),
});
