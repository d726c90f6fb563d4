import { toFailure } from '../core/errors.ts';
import type { Warning } from '../core/manifest.ts';
import { recordRestore } from '../store/last-restore.ts';

interface Restoring {
  readonly dir: string;
  readonly source: string;
  /** Null for an undo. */
  readonly id: string | null;
}

/** Does a restore or an undo and writes down for `status` how it ended: whoever began it may be gone. */
export async function noted<Report extends { readonly warnings: readonly Warning[] }>(
  { dir, source, id }: Restoring,
  work: () => Promise<Report>,
): Promise<Report> {
  let report: Report;
  try {
    report = await work();
  } catch (error) {
    const { code, message } = toFailure(error);
    if (code === 'nothing-to-undo') {
      // Then nothing was begun, and the last one is the one before.
      throw error;
    }
    const failed = { at: new Date().toISOString(), id, outcome: 'failed', code, message } as const;
    // That it failed counts more than that this could not be written down.
    await recordRestore(dir, source, failed).catch(() => null);
    throw error;
  }
  const at = new Date().toISOString();
  try {
    await recordRestore(dir, source, { at, id, outcome: 'success', code: null, message: null });
    return report;
  } catch (error) {
    const message = `"status" will not tell of it: ${toFailure(error).message}`;
    return { ...report, warnings: [...report.warnings, { code: 'not-recorded', message }] };
  }
}
