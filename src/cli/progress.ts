import { formatDuration } from '../core/duration.ts';
import type { Emit, RunEvent } from '../core/events.ts';
import { formatSize } from './format.ts';
import { escapeControls } from './text.ts';
import { truncate } from './width.ts';

/** How often a bar is drawn anew, and how often a line is printed where there is no terminal. */
const BAR_EVERY_MS = 200;
const LINE_EVERY_MS = 10_000;
const BAR_CELLS = 20;
/** The rate is that of so many last seconds: what came before (a snapshot, counting rows) says nothing of what comes. */
const RATE_OVER_MS = 15_000;
/** A rate over less time says nothing. */
const RATE_AFTER_MS = 1000;
/** Before this part of the work is done, or so much time has passed, nobody can say what is left. */
const LEFT_AFTER_PART = 0.01;
const LEFT_AFTER_MS = 30_000;

const CLEAR_LINE = '\r\u001B[K';

/** Shows how far the work is: a bar on a terminal, else a plain line now and then. */
export interface Progress {
  /** Takes what happens in a run; what is no progress is ignored. */
  readonly emit: Emit;
  /** How many plain bytes the next backup of a source probably has; null: unknown. */
  expect(source: string, bytes: number | null): void;
  /** Takes the bar off the screen, before something else is printed or when the work is done. */
  clear(): void;
}

export interface ProgressTarget {
  write(text: string): void;
  /** Of the terminal; null where there is none. */
  columns(): number | null;
  elapsedMs(): number;
}

/** What is under way. */
interface Activity {
  readonly key: string;
  readonly title: string;
  readonly beganMs: number;
  /** How far it was some seconds ago. */
  readonly before: Sample;
  readonly bytes: number | null;
  readonly totalBytes: number | null;
  /** Whether the total is only what the last backup had. */
  readonly estimated: boolean;
}

type Step = Omit<Activity, 'beganMs' | 'before'>;

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

export function progressDisplay(target: ProgressTarget): Progress {
  const steps = stepReader();
  let activity: Activity | null = null;
  let samples: readonly Sample[] = [];
  let shownMs = -Infinity;
  let barShown = false;

  function show(step: Activity): void {
    const columns = target.columns();
    const nowMs = target.elapsedMs();
    // Without a terminal what ends soon is not worth a line.
    const since = columns === null ? Math.max(shownMs, step.beganMs) : shownMs;
    if (nowMs - since < (columns === null ? LINE_EVERY_MS : BAR_EVERY_MS)) {
      return;
    }
    shownMs = nowMs;
    if (columns === null) {
      target.write(`${escapeControls(describe(step, nowMs, ''))}\n`);
    } else {
      // The last column stays free: a terminal wraps there.
      target.write(`${CLEAR_LINE}${truncate(describe(step, nowMs, bar(step)), columns - 1)}`);
      barShown = true;
    }
  }

  return {
    emit(event) {
      const step = steps.read(event);
      if (step === null) {
        return;
      }
      const same = activity?.key === step.key;
      if (!same && target.columns() !== null) {
        shownMs = -Infinity;
      }
      const now: Sample = { atMs: target.elapsedMs(), bytes: step.bytes ?? 0 };
      samples = same ? addSample(samples, now) : [now];
      activity = {
        ...step,
        beganMs: same && activity !== null ? activity.beganMs : now.atMs,
        before: samples[0] ?? now,
      };
      show(activity);
    },
    expect(source, bytes) {
      steps.expect(source, bytes);
    },
    clear() {
      if (barShown) {
        target.write(CLEAR_LINE);
        barShown = false;
        shownMs = -Infinity;
      }
    },
  };
}

/** At most one a second, and of the old ones the youngest that is old enough. */
function addSample(samples: readonly Sample[], now: Sample): readonly Sample[] {
  const last = samples.at(-1);
  const all = last !== undefined && now.atMs - last.atMs < 1000 ? samples : [...samples, now];
  const from = all.findLastIndex(({ atMs }) => now.atMs - atMs >= RATE_OVER_MS);
  return all.slice(Math.max(0, from));
}

interface StepReader {
  expect(source: string, bytes: number | null): void;
  /** Null: the event is no progress. */
  read(event: RunEvent): Step | null;
}

function stepReader(): StepReader {
  const expected = new Map<string, number | null>();
  const dumped = new Map<string, Map<string, number>>();
  return {
    expect(source, bytes) {
      expected.set(source, bytes);
    },
    read(event) {
      if (event.type === 'backup-started') {
        dumped.delete(event.source);
        return backupStep(event.source, 0, expected.get(event.source) ?? null);
      }
      if (event.type === 'backup-progress') {
        const parts = dumped.get(event.source) ?? new Map<string, number>();
        dumped.set(event.source, parts.set(event.stem, event.dumpBytes));
        const bytes = parts.values().reduce((sum, part) => sum + part, 0);
        return backupStep(event.source, bytes, expected.get(event.source) ?? null);
      }
      if (event.type === 'verify-progress') {
        return verifyStep(event);
      }
      if (event.type === 'upload-progress') {
        return uploadStep(event);
      }
      if (event.type === 'retrieval-awaited') {
        const { source, id, message } = event;
        const title = `${source}: waiting: ${message}`;
        return { key: `${id}/archive`, title, bytes: null, totalBytes: null, estimated: false };
      }
      return event.type === 'restore-progress' ? restoreStep(event) : null;
    },
  };
}

function backupStep(source: string, bytes: number, totalBytes: number | null): Step {
  return { key: source, title: `${source}: backup`, bytes, totalBytes, estimated: true };
}

function restoreStep(event: Extract<RunEvent, { type: 'restore-progress' }>): Step {
  const { source, stage, database, bytes, totalBytes } = event;
  return {
    key: `${source}/${stage}/${database}`,
    title: `${source}: ${stage} ${database}`,
    bytes,
    totalBytes,
    estimated: false,
  };
}

function verifyStep(event: Extract<RunEvent, { type: 'verify-progress' }>): Step {
  const { source, id, bytes, totalBytes } = event;
  return { key: id, title: `${source}: verify ${id}`, bytes, totalBytes, estimated: false };
}

function uploadStep(event: Extract<RunEvent, { type: 'upload-progress' }>): Step {
  const { source, id, destination, bytes, totalBytes } = event;
  return {
    key: `${destination}/${id}`,
    title: `${source}: upload ${id} to ${destination}`,
    bytes,
    totalBytes,
    estimated: false,
  };
}

function bar({ bytes, totalBytes }: Activity): string {
  if (bytes === null || totalBytes === null || totalBytes === 0) {
    return '';
  }
  const filled = Math.round(Math.min(1, bytes / totalBytes) * BAR_CELLS);
  return ` [${'#'.repeat(filled)}${'-'.repeat(BAR_CELLS - filled)}]`;
}

/** `db: backup [####----] 45% 12.3 MB of about 27.0 MB, 5.1 MB/s, 3s left` */
function describe(step: Activity, nowMs: number, drawn: string): string {
  const { title, bytes, estimated } = step;
  if (bytes === null) {
    return `${title}, ${formatDuration(nowMs - step.beganMs)}`;
  }
  const total = knownTotal(step, bytes);
  if (total === null) {
    return `${title} ${formatSize(bytes)}${describeRate(step, { bytes, total }, nowMs)}`;
  }
  const percent = Math.floor((Math.min(bytes, total) / total) * 100);
  const amount = `${formatSize(bytes)} of ${estimated ? 'about ' : ''}${formatSize(total)}`;
  return `${title}${drawn} ${percent}% ${amount}${describeRate(step, { bytes, total }, nowMs)}`;
}

/** Null where there is none to go by: also where there is more already than the last backup had. */
function knownTotal({ totalBytes, estimated }: Activity, bytes: number): number | null {
  const isUseful = totalBytes !== null && totalBytes > 0 && (!estimated || bytes <= totalBytes);
  return isUseful ? totalBytes : null;
}

function describeRate(
  { before, beganMs }: Activity,
  { bytes, total }: { readonly bytes: number; readonly total: number | null },
  nowMs: number,
): string {
  const overMs = nowMs - before.atMs;
  if (overMs < RATE_AFTER_MS || bytes === 0) {
    return '';
  }
  const tookMs = nowMs - beganMs;
  const perMs = (bytes - before.bytes) / overMs;
  const rate = `, ${formatSize(Math.round(perMs * 1000))}/s`;
  if (total === null) {
    return `${rate}, ${formatDuration(tookMs)}`;
  }
  const tellsLeft = perMs > 0 && (bytes >= total * LEFT_AFTER_PART || tookMs >= LEFT_AFTER_MS);
  return tellsLeft ? `${rate}, ${formatDuration(Math.max(0, total - bytes) / perMs)} left` : rate;
}
