import { randomBytes } from 'node:crypto';

/**
 * What one restore or undo is called: `20261122T020000Z-3fa9`. Unique also among those of one second, since what is kept is
 * recorded by it, and short enough for names that carry it.
 */
export function newRestoreRun(): string {
  const stamp = new Date()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '');
  return `${stamp}-${randomBytes(2).toString('hex')}`;
}
