import type { DrillReport } from '../../src/core/drill.ts';

/** A drill that passed. */
export function drillReport(changes: Partial<DrillReport> = {}): DrillReport {
  return {
    at: '2026-11-22T04:00:00.000Z',
    source: 'db',
    id: null,
    from: null,
    ok: true,
    recoveryMs: 1000,
    integrity: 1,
    differences: [],
    notCompared: [],
    checks: [],
    notes: [],
    skipped: null,
    failure: null,
    ...changes,
  };
}
