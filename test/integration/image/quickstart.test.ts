import { afterAll, expect, test } from 'vitest';
import { docker, runProcess } from '../../support/run-process.ts';

const QUICKSTART = `${import.meta.dirname}/../../../quickstart`;

afterAll(async () => {
  await runProcess([QUICKSTART, 'down']);
});

test(
  'the demo brings every row back, twice, also after one that stopped half-way, and leaves nothing',
  { timeout: 600_000 },
  async () => {
    const first = await runProcess([QUICKSTART]);
    expect(first, first.stdout + first.stderr).toMatchObject({ exitCode: 0 });
    expect(first.stdout).toContain('Every row is back.');

    // As a demo leaves it that is interrupted after its accident.
    const psql = ['psql', '-U', 'postgres', '-d', 'shop', '-qc'];
    await docker('exec', 'backupd-demo-db-1', ...psql, 'drop table order_items cascade');
    const second = await runProcess([QUICKSTART]);
    expect(second, second.stdout + second.stderr).toMatchObject({ exitCode: 0 });
    expect(second.stdout).toContain('Every row is back.');

    expect(await runProcess([QUICKSTART, 'down'])).toMatchObject({ exitCode: 0 });
    const filter = ['--filter', 'label=com.docker.compose.project=backupd-demo', '--quiet'];
    expect(await docker('ps', '--all', ...filter)).toBe('');
    expect(await docker('volume', 'ls', ...filter)).toBe('');
    expect(await docker('network', 'ls', ...filter)).toBe('');
  },
);
