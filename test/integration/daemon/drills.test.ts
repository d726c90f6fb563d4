import { expect, test } from 'vitest';
import { startDaemon } from '../../support/backupd.ts';
import { having } from '../../support/matchers.ts';
import { testVolume } from '../../support/test-container.ts';
import { inVolume } from '../../support/volume.ts';
import { waitFor } from '../../support/wait-for.ts';

interface Status {
  readonly sources: readonly { readonly lastDrill: { readonly at: string } | null }[];
}

test('the daemon drills by its schedule, and everybody is told', { timeout: 300_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const [files, backups] = await Promise.all([testVolume(), testVolume()]);
  stack.use(files);
  stack.use(backups);
  await inVolume(files.name, 'echo hello >greeting');
  const daemon = stack.use(
    await startDaemon({
      backups: backups.name,
      env: {
        BACKUPD_DISCOVER: 'off',
        BACKUPD_SCHEDULE: '0 0 1 1 *',
        BACKUPD_DRILL_SCHEDULE: '*/5 * * * * *',
        BACKUPD_RTO: '1ms',
        BACKUPD_SOURCES: `files=volume://${files.name}`,
      },
    }),
  );
  async function status(): Promise<Status> {
    return JSON.parse((await daemon.cli(['status', '--json'])).stdout) as Status;
  }
  await waitFor(
    'drill',
    async () => (await status()).sources[0]?.lastDrill?.at !== undefined,
    120_000,
  );
  expect(await status()).toMatchObject({
    // What is missed is said, and no more than said.
    healthy: true,
    sources: [
      having({
        lastDrill: having({ ok: true, integrity: 1, differences: [], failure: null, from: null }),
        drill: having({ skipped: null, maxAgeSeconds: 8 }),
        recovery: having({ rto: having({ targetSeconds: 0.001, met: false }) }),
      }),
    ],
    problems: [having({ code: 'rto-missed' })],
  });
  expect((await daemon.cli(['status'])).stdout).toMatch(/DRILL[\s\S]*ok .* ago, took/);
  const text = await (await daemon.get('/metrics')).text();
  expect(text).toContain('backupd_drill_last_result{source="files"} 1');
  expect(text).toContain('backupd_drill_integrity_ratio{source="files"} 1');
  expect(text).toMatch(/backupd_drill_last_success_timestamp_seconds\{source="files"\} \d{10}/);
  expect(text).toMatch(/backupd_drill_recovery_seconds\{source="files"\} [1-9.]/);
  expect(await daemon.logs()).toContain('drill passed');

  const drilled = await daemon.cli(['drill', 'files', '--json', '--wait', '1m']);
  const { exitCode, stderr } = drilled;
  expect({ exitCode, stderr, report: JSON.parse(drilled.stdout) as unknown }).toEqual({
    exitCode: 0,
    stderr: '',
    report: [
      {
        source: 'files',
        id: expect.stringMatching(/^2/) as string,
        ok: true,
        recoveryMs: expect.any(Number) as number,
        integrity: 1,
        differences: [],
        skipped: null,
        error: null,
        from: null,
        notCompared: [],
        checks: [],
        notes: [expect.stringContaining('newest') as string],
      },
    ],
  });
  const listed = await daemon.cli(['list', '--json']);
  expect(JSON.parse(listed.stdout)).toMatchObject([{ drilledAt: expect.any(String) as string }]);

  const failed = await daemon.cli(['drill', 'files', '--wait', '1m'], {
    env: { BACKUPD_SOURCE_FILES_DRILL_CHECK: 'exec: false' },
  });
  expect(failed.exitCode).toBe(23);
  expect(failed.stdout).toContain('FAILED files');
  expect((await daemon.cli(['drill', 'nothing'])).exitCode).toBe(16);
});
