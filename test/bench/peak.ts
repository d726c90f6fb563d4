import { appendFileSync, readFileSync } from 'node:fs';

const execve = process.execve?.bind(process);

// Loaded into backupd by --import: leaves its peak memory behind when it ends, which it does by another program in its place.
process.execve = (...program) => {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  appendFileSync('/backups/.peak', `${kib}\n`);
  return execve?.(...program) as never;
};
