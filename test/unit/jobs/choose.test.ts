import { expect, test } from 'vitest';
import type { Attempt } from '../../../src/core/events.ts';
import { formatBackupId, type BackupId, type BackupKind } from '../../../src/core/layout.ts';
import type { CatalogEntry, Receipt } from '../../../src/core/catalog-entry.ts';
import { chooseBackup, chooseDatabases, type Remembered } from '../../../src/jobs/choose.ts';

interface Sketch {
  readonly suspicious?: boolean;
  readonly kind?: BackupKind;
  readonly receipts?: readonly Receipt[];
}

function backup(startedAt: string, sketch: Sketch = {}): CatalogEntry {
  const kind = sketch.kind ?? 'full';
  const id = formatBackupId({ startedAt: new Date(startedAt), kind, suffix: 'abcd' });
  return {
    manifest: {
      format: 1,
      id,
      namespace: 'n',
      source: 'db',
      engine: 'postgres',
      kind,
      parent: null,
      trigger: 'manual',
      startedAt,
      finishedAt: startedAt,
      backupdVersion: '0',
      target: { container: 'db', image: 'postgres:17', imageId: 'sha256:0', repoDigests: [] },
      toolVersion: '',
      files: [],
      databases: ['shop', 'blog'],
      encryption: { scheme: 'none', keyIds: [] },
      position: null,
      warnings: [],
      suspicious: sketch.suspicious ?? false,
    },
    receipts: sketch.receipts ?? [],
  };
}

function known(entries: readonly CatalogEntry[], attempts: readonly Attempt[] = []): Remembered {
  return { entries, attempts };
}

function succeeded(id: BackupId): Attempt {
  const at = new Date(0).toISOString();
  return { at, finishedAt: at, outcome: 'success', trigger: 'schedule', id, failure: null };
}

function latest(remembered: Remembered): CatalogEntry {
  return chooseBackup(remembered, 'latest', 'UTC').entry;
}

const monday = backup('2026-11-23T02:00:00.000Z');
const tuesday = backup('2026-11-24T02:00:00.000Z');
const damaged: Receipt = { type: 'damaged', at: '2026-11-25T00:00:00.000Z', message: 'cut' };

test('latest is the newest one that is good', () => {
  const entries = [
    backup('2026-11-25T05:00:00.000Z', { kind: 'safety' }),
    backup('2026-11-25T03:00:00.000Z', { suspicious: true }),
    backup('2026-11-25T02:00:00.000Z', { receipts: [damaged] }),
    tuesday,
    monday,
  ];

  expect(chooseBackup(known(entries), 'latest', 'UTC')).toEqual({ entry: tuesday, gap: null });
});

test('where the newest is dated in the future, latest is the one that was made last', () => {
  const future = backup(new Date(Date.now() + 3_600_000).toISOString());
  const entries = [future, tuesday, monday];
  const madeLast = succeeded(tuesday.manifest.id);
  const madeBefore = succeeded(future.manifest.id);
  const lost = succeeded(backup('2026-11-24T05:00:00.000Z').manifest.id);

  expect(latest(known(entries, [lost, madeLast, madeBefore]))).toBe(tuesday);
  expect(latest(known(entries, [madeBefore, madeLast]))).toBe(future);
  expect(latest(known(entries))).toBe(future);
  expect(latest(known([tuesday, monday], [succeeded(monday.manifest.id)]))).toBe(tuesday);
});

test('an id finds what latest leaves out', () => {
  const suspicious = backup('2026-11-25T03:00:00.000Z', { suspicious: true });

  expect(chooseBackup(known([suspicious, tuesday]), '20261125', 'UTC').entry).toBe(suspicious);
});

test('an instant is the newest good backup begun at or before it, with the gap in words', () => {
  const choice = chooseBackup(known([tuesday, monday]), '2026-11-24T01:59', 'UTC');

  expect(choice.entry).toBe(monday);
  expect(choice.gap).toContain('23h 59m before 2026-11-24T01:59:00.000Z');
});

test('an instant is read in the configured time zone', () => {
  expect(chooseBackup(known([tuesday, monday]), '2026-11-24T03:00', 'Europe/Berlin')).toEqual({
    entry: tuesday,
    gap: null,
  });
});

test.each([
  ['latest', 'backup-not-found'],
  ['2026-11-22T00:00', 'backup-not-found'],
  ['20251231', 'backup-not-found'],
  ['yesterday', 'usage'],
  ['', 'usage'],
])('with none that fits, --at %j is %s', (at, code) => {
  const entries = at === 'latest' ? [] : [tuesday, monday];

  expect(() => chooseBackup(known(entries), at, 'UTC')).toThrow(expect.objectContaining({ code }));
});

test('the beginning of two ids is ambiguous', () => {
  expect(() => chooseBackup(known([tuesday, monday]), '20261123T020000Z', 'UTC')).not.toThrow();
  const twice = [
    tuesday,
    {
      ...tuesday,
      manifest: {
        ...tuesday.manifest,
        id: formatBackupId({
          startedAt: new Date('2026-11-24T03:00:00Z'),
          kind: 'full',
          suffix: '0000',
        }),
      },
    },
  ];

  expect(() => chooseBackup(known(twice), '20261124', 'UTC')).toThrow(
    expect.objectContaining({ code: 'usage' }),
  );
});

test('all databases under their own names, or one under another', () => {
  expect(chooseDatabases(monday.manifest, [], null)).toEqual([
    { name: 'shop', restoredAs: 'shop' },
    { name: 'blog', restoredAs: 'blog' },
  ]);
  expect(chooseDatabases(monday.manifest, ['blog'], 'blog2')).toEqual([
    { name: 'blog', restoredAs: 'blog2' },
  ]);
});

test('a database that is not in the backup, and one name for two', () => {
  expect(() => chooseDatabases(monday.manifest, ['shop', 'nope'], null)).toThrow(
    /has no database "nope"/,
  );
  expect(() => chooseDatabases(monday.manifest, [], 'copy')).toThrow(
    expect.objectContaining({ code: 'usage' }),
  );
});

test('an instant that is written to the minute finds what began within it', () => {
  const entries = [backup('2026-11-24T02:00:00.214Z'), monday];
  expect(chooseBackup(known(entries), '2026-11-24T02:00', 'UTC')).toEqual({
    entry: entries[0],
    gap: null,
  });
  expect(chooseBackup(known(entries), '2026-11-24T02:00:00Z', 'UTC')).toEqual({
    entry: entries[0],
    gap: null,
  });
  expect(chooseBackup(known(entries), '2026-11-24T02:00:00.213Z', 'UTC').entry).toBe(monday);
  expect(chooseBackup(known(entries), '2026-11-24T01:59', 'UTC').entry).toBe(monday);
});
