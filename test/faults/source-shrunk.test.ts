import { expect, test } from 'vitest';
import { expectGoodRun, runBackup, startStage } from '../support/fault-stage.ts';
import { having } from '../support/matchers.ts';

test('a source that shrank to nothing is saved, flagged, and never the latest', async () => {
  await using stage = await startStage();
  const good = await expectGoodRun(stage);
  await stage.server.sql('drop table orders');
  const { exitCode, stdout } = await runBackup(stage);
  const { runs } = JSON.parse(stdout) as { runs: { id: string; warnings: unknown[] }[] };
  const [run] = runs;
  expect(exitCode).toBe(0);
  expect(run?.warnings).toEqual([having({ code: 'tables-vanished' }), having({ code: 'shrunk' })]);

  const [list, status, plan] = await Promise.all([
    stage.daemon.cli(['list', 'db', '--json']),
    stage.daemon.cli(['status', '--json']),
    stage.daemon.cli(['restore', 'db', '--dry-run', '--json']),
  ]);
  expect(JSON.parse(list.stdout)).toEqual([
    having({ id: run?.id, suspicious: true, warnings: run?.warnings }),
    having({ id: good, suspicious: false, warnings: [] }),
  ]);
  expect(JSON.parse(status.stdout)).toMatchObject({ sources: [{ lastSuccessId: good }] });
  expect(JSON.parse(plan.stdout)).toMatchObject({ id: good, plan: true });
  const metrics = await (await stage.daemon.get('/metrics')).text();
  expect(metrics).toContain('backupd_backup_warnings{source="db",code="shrunk"} 1');
});
