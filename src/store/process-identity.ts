import { readFile, readlink } from 'node:fs/promises';
import { hasErrorCode } from '../core/system-error.ts';

/** Tells a process from every other one that ever had its number; absent where the system does not say. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Numbers of processes mean something only within their namespace: `pid:[4026531836]`. */
  readonly pidNamespace: string | null;
  readonly bootId: string | null;
  /** When it started, in clock ticks since the boot. */
  readonly startTicks: string | null;
}

/** Who we are. */
export async function readOwnIdentity(): Promise<ProcessIdentity> {
  const [pidNamespace, bootId, status] = await Promise.all([
    orNull(readlink('/proc/self/ns/pid')),
    orNull(readFile('/proc/sys/kernel/random/boot_id', 'utf8')),
    orNull(readFile('/proc/self/stat', 'utf8')),
  ]);
  return {
    pid: process.pid,
    pidNamespace,
    bootId: bootId?.trim() ?? null,
    startTicks: status === null ? null : parseStatus(status).startTicks,
  };
}

/** Whether another process still runs; null where it cannot be told from here: it lives in another container or host. */
export async function isRunning(
  other: ProcessIdentity,
  own: ProcessIdentity,
): Promise<boolean | null> {
  if (
    own.pidNamespace === null ||
    own.bootId === null ||
    other.pidNamespace !== own.pidNamespace ||
    other.bootId !== own.bootId
  ) {
    return null;
  }
  let status: string;
  try {
    status = await readFile(`/proc/${other.pid}/stat`, 'utf8');
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ESRCH')) {
      // With hidepid other users' processes are not in /proc: only a number that nobody has is proof.
      return hasNumber(other.pid) ? null : false;
    }
    return null;
  }
  const { state, startTicks } = parseStatus(status);
  return startTicks === other.startTicks && state !== 'Z' && state !== 'X';
}

function hasNumber(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasErrorCode(error, 'ESRCH');
  }
}

/** Fields 3 and 22 of proc(5) stat; field 2 is a name in brackets that may itself hold spaces and brackets. */
function parseStatus(text: string): { readonly state: string; readonly startTicks: string | null } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTicks: fields[19] ?? null };
}

async function orNull(reading: Promise<string>): Promise<string | null> {
  try {
    return await reading;
  } catch {
    // No /proc, or one that a sandbox cut down: liveness is then judged by heartbeat alone.
    return null;
  }
}
