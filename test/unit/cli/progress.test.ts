import { describe, expect, it } from 'vitest';
import { progressDisplay, type Progress } from '../../../src/cli/progress.ts';
import type { RunEvent } from '../../../src/core/events.ts';
import type { BackupId } from '../../../src/core/layout.ts';

interface Shown {
  readonly progress: Progress;
  readonly written: string[];
  readonly at: (ms: number) => void;
}

function display(columns: number | null): Shown {
  const written: string[] = [];
  let now = 0;
  const progress = progressDisplay({
    write: (text) => written.push(text),
    columns: () => columns,
    elapsedMs: () => now,
  });
  return {
    progress,
    written,
    at(ms) {
      now = ms;
    },
  };
}

const STARTED: RunEvent = {
  type: 'backup-started',
  source: 'db',
  engine: 'postgres',
  id: '20261122T020000Z-full-3fa9' as BackupId,
  trigger: 'manual',
};

function dumped(stem: string, dumpBytes: number): RunEvent {
  return { type: 'backup-progress', source: 'db', stem, storedBytes: 1, dumpBytes };
}

function restored(stage: string, bytes: number | null, totalBytes: number | null): RunEvent {
  return { type: 'restore-progress', source: 'db', stage, database: 'shop', bytes, totalBytes };
}

describe('without a terminal', () => {
  it('prints a line at most every ten seconds, and none for what ends sooner', () => {
    const { progress, written, at } = display(null);
    progress.emit(STARTED);
    for (let second = 0; second <= 35; second += 1) {
      at(second * 1000);
      progress.emit(dumped('shop.dump', second * 1_000_000));
    }
    progress.clear();
    expect(written).toEqual([
      'db: backup 10.0 MB, 1.0 MB/s, 10s\n',
      'db: backup 20.0 MB, 1.0 MB/s, 20s\n',
      'db: backup 30.0 MB, 1.0 MB/s, 30s\n',
    ]);
  });

  it('keeps to the ten seconds while the stages of a restore change', () => {
    const { progress, written, at } = display(null);
    for (let second = 0; second <= 30; second += 1) {
      at(second * 1000);
      progress.emit(restored(second % 2 === 0 ? 'load' : 'index', null, null));
    }
    expect(written.length).toBeLessThanOrEqual(3);
  });

  it('escapes what could steer a terminal', () => {
    const { progress, written, at } = display(null);
    progress.emit({ ...restored('load', null, null), database: '\u001B[2J' } as RunEvent);
    at(10_000);
    progress.emit({ ...restored('load', null, null), database: '\u001B[2J' } as RunEvent);
    expect(written).toEqual([`db: load ${String.raw`\x1b[2J`}, 10s\n`]);
  });
});

describe('on a terminal', () => {
  it('draws a bar with bytes, rate and time left, at most five times a second', () => {
    const { progress, written, at } = display(200);
    progress.expect('db', 40_000_000);
    progress.emit(STARTED);
    for (let ms = 0; ms < 1000; ms += 10) {
      at(ms);
      progress.emit(dumped('a.dump', 1000));
    }
    expect(written.length).toBeLessThanOrEqual(6);
    at(2000);
    progress.emit(dumped('a.dump', 4_000_000));
    progress.emit(dumped('b.dump', 6_000_000));
    at(4000);
    progress.emit(dumped('b.dump', 6_000_000));
    expect(written.at(-1)).toBe(
      '\r\u001B[Kdb: backup [#####---------------] 25% 10.0 MB of about 40.0 MB, 2.5 MB/s, 12s left',
    );
  });

  it('reckons with the last seconds, and says nothing of the time left before there is a reason to', () => {
    const { progress, written, at } = display(200);
    progress.expect('db', 100_000_000);
    progress.emit(STARTED);
    at(5000);
    progress.emit(dumped('globals', 1000));
    expect(written.at(-1)).toMatch(/0% 1\.0 kB of about 100\.0 MB, 200 B\/s$/);
    for (let second = 60; second <= 90; second += 1) {
      at(second * 1000);
      progress.emit(dumped('a.dump', (second - 60) * 1_000_000));
    }
    expect(written.at(-1)).toMatch(/30% 30\.0 MB of about 100\.0 MB, 1\.0 MB\/s, 1m 10s left$/);
  });

  it('stops guessing when there is more than last time', () => {
    const { progress, written, at } = display(200);
    progress.expect('db', 1000);
    progress.emit(STARTED);
    at(2000);
    progress.emit(dumped('a.dump', 5_000_000));
    expect(written.at(-1)).toBe('\r\u001B[Kdb: backup 5.0 MB, 2.5 MB/s, 2s');
  });

  it('shows a new stage at once and fits every line into the terminal', () => {
    const { progress, written } = display(20);
    progress.emit(restored('load', 5, 10));
    progress.emit(restored('index', null, null));
    expect(written).toEqual(['\r\u001B[Kdb: load shop [###…', '\r\u001B[Kdb: index shop, 0s']);
  });

  it('shows how far a verification is', () => {
    const { progress, written } = display(100);
    const id = '20261122T020000Z-full-3fa9' as BackupId;
    progress.emit({ type: 'verify-progress', source: 'db', id, bytes: 500, totalBytes: 1000 });
    expect(written).toEqual([
      '\r\u001B[Kdb: verify 20261122T020000Z-full-3fa9 [##########----------] 50% 500 B of 1.0 kB',
    ]);
  });

  it('leaves the line empty when it is cleared, and writes nothing when nothing was drawn', () => {
    const { progress, written } = display(80);
    progress.clear();
    expect(written).toEqual([]);
    progress.emit(restored('load', null, null));
    progress.clear();
    progress.clear();
    expect(written.slice(1)).toEqual(['\r\u001B[K']);
  });
});

it('does not take other events for progress', () => {
  const { progress, written } = display(80);
  progress.emit({ type: 'run-skipped', source: 'db', reason: 'x' });
  expect(written).toEqual([]);
});
