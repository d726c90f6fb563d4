import { describe, expect, test } from 'vitest';
import { judgeSource, type Observed } from '../../../src/core/standing.ts';
import { metrics, type Snapshot } from '../../../src/listeners/metrics.ts';
import { boundSource } from '../cli/paper-source.ts';
import { backupId, sampleManifest } from '../../support/storage.ts';

const NOW_MS = Date.UTC(2026, 0, 1, 3);

function observed(source: string, change: Partial<Observed> = {}): Observed {
  return {
    job: boundSource(source).job,
    present: true,
    running: false,
    entries: [],
    record: {
      attempts: [],
      totals: { success: 0, failed: 0, skipped: 0, interrupted: 0 },
      removedTotal: 0,
    },
    previous: [],
    lastRestore: null,
    destinations: [],
    schedule: null,
    ...change,
  };
}

async function scrape(sources: readonly Observed[]): Promise<string> {
  const snapshot: Snapshot = {
    sources: sources.map((source) => judgeSource(source, NOW_MS)),
    destinations: [],
    channels: [],
    configProblems: 2,
    disk: { freeBytes: 10, sizeBytes: 100 },
  };
  return metrics('1.2.3').render(snapshot);
}

/** The series of backupd with their values; those of the Node process left out. */
function series(text: string): Readonly<Record<string, string>> {
  const lines = text.split('\n').filter((line) => line.startsWith('backupd_'));
  return Object.fromEntries(lines.map((line) => line.split(/ (?=[^ ]*$)/) as [string, string]));
}

const RUN = {
  entries: [
    {
      manifest: sampleManifest({
        id: backupId(2),
        finishedAt: '2026-01-01T02:00:30.000Z',
        warnings: [{ code: 'shrunk', message: 'it shrank' }],
      }),
      receipts: [{ type: 'verified', at: '2026-01-01T02:30:00.000Z', depth: 'content' }],
    },
  ],
  record: {
    attempts: [
      {
        at: '2026-01-01T02:00:00.000Z',
        finishedAt: '2026-01-01T02:00:30.000Z',
        outcome: 'success',
        trigger: 'schedule',
        id: backupId(2),
        failure: null,
      },
    ],
    totals: { success: 5, failed: 1, skipped: 2, interrupted: 3 },
    removedTotal: 4,
  },
} as const;

describe('a scrape', () => {
  test('has every series of a source with its values', async () => {
    const found = series(await scrape([observed('db', RUN)]));
    expect(found).toEqual({
      'backupd_build_info{version="1.2.3"}': '1',
      backupd_config_problems: '2',
      backupd_disk_free_bytes: '10',
      backupd_disk_size_bytes: '100',
      'backupd_source_info{source="db",engine="postgres"}': '1',
      'backupd_drill_last_timestamp_seconds{source="db"}': '0',
      'backupd_drill_last_success_timestamp_seconds{source="db"}': '0',
      'backupd_drill_last_result{source="db"}': '0',
      'backupd_drill_max_age_seconds{source="db"}': '0',
      'backupd_drill_recovery_seconds{source="db"}': '0',
      'backupd_drill_integrity_ratio{source="db"}': '0',
      'backupd_backup_last_success_timestamp_seconds{source="db"}': '1767232830',
      'backupd_backup_last_attempt_timestamp_seconds{source="db"}': '1767232800',
      'backupd_backup_last_attempt_success{source="db"}': '1',
      'backupd_backup_age_seconds{source="db"}': '3570',
      'backupd_backup_max_age_seconds{source="db"}': '129600',
      'backupd_backup_expected_interval_seconds{source="db"}': '86400',
      'backupd_backup_next_run_timestamp_seconds{source="db"}': '1767319200',
      'backupd_backup_size_bytes{source="db"}': '7',
      'backupd_backup_dump_bytes{source="db"}': '100',
      'backupd_backup_duration_seconds{source="db"}': '30',
      'backupd_backup_running{source="db"}': '0',
      'backupd_backup_runs_total{source="db",result="success"}': '5',
      'backupd_backup_runs_total{source="db",result="failed"}': '1',
      'backupd_backup_runs_total{source="db",result="skipped"}': '2',
      'backupd_backup_runs_total{source="db",result="interrupted"}': '3',
      'backupd_backup_warnings{source="db",code="shrunk"}': '1',
      'backupd_backups{source="db"}': '1',
      'backupd_backups_stored_bytes{source="db"}': '7',
      'backupd_retention_removed_total{source="db",destination="local"}': '4',
      'backupd_verify_last_success_timestamp_seconds{source="db"}': '1767234600',
      'backupd_verify_failed_backups{source="db"}': '0',
    });
  });

  test('has the same series of a source that never ran', async () => {
    const ran = series(await scrape([observed('db', RUN)]));
    const never = series(await scrape([observed('db')]));
    const warning = 'backupd_backup_warnings{source="db",code="shrunk"}';
    expect(Object.keys(never)).toEqual(Object.keys(ran).filter((name) => name !== warning));
    expect(never).toMatchObject({
      'backupd_backup_last_success_timestamp_seconds{source="db"}': '0',
      'backupd_backup_last_attempt_success{source="db"}': '0',
      'backupd_backup_age_seconds{source="db"}': '+Inf',
    });
  });

  test('forgets what was there at the scrape before', async () => {
    const own = metrics('1.2.3');
    const disk = { freeBytes: 1, sizeBytes: 1 };
    const sources = ['a', 'b'].map((name) => judgeSource(observed(name, RUN), NOW_MS));
    const before = await own.render({
      sources,
      destinations: [],
      channels: [],
      configProblems: 0,
      disk,
    });
    const after = await own.render({
      sources: sources.slice(1),
      destinations: [],
      channels: [],
      configProblems: 0,
      disk,
    });
    expect(before).toContain('source="a"');
    expect(after).not.toContain('source="a"');
    expect(series(after)['backupd_backup_runs_total{source="b",result="success"}']).toBe('5');
  });

  test('has the metrics of the process, each once', async () => {
    const text = await scrape([]);
    const described = text.split('\n').filter((line) => line.startsWith('# TYPE '));
    expect(text).toContain('\nprocess_resident_memory_bytes ');
    expect(new Set(described).size).toBe(described.length);
    expect(described.filter((line) => line.endsWith('_total gauge'))).toEqual([]);
  });
});
