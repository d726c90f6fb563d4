import { NO_DRILLS, addDrill, type DrillRecord, type DrillReport } from '../core/drill.ts';
import { readJson } from './atomic-file.ts';
import { statePath, writeState } from './state-file.ts';

/** Of a list that may have a thousand entries so many are remembered. */
const REMEMBERED = 50;

/** What is remembered of the drills of a source; nothing where that is missing or damaged, which the catalog reports. */
export async function readDrills(dir: string, source: string): Promise<DrillRecord> {
  const stored = await readJson(statePath(dir, 'drills', source));
  return stored.state === 'present' && isRecord(stored.value) ? stored.value : NO_DRILLS;
}

/** Adds a drill to the record. The caller holds the lock of the source's drills. @throws BackupdError `no-space`, `storage-unavailable` */
export async function recordDrill(dir: string, report: DrillReport): Promise<void> {
  const { source, differences, notCompared } = report;
  const kept = {
    ...report,
    differences: differences.slice(0, REMEMBERED),
    notCompared: notCompared.slice(0, REMEMBERED),
  };
  const record = addDrill(await readDrills(dir, source), kept);
  await writeState(dir, { kind: 'drills', name: [source] }, record);
}

function isRecord(value: unknown): value is DrillRecord {
  const { verdicts, last } = (value ?? {}) as Partial<DrillRecord>;
  return typeof verdicts === 'number' && typeof last?.at === 'string';
}
