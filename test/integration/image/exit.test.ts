import { expect, test } from 'vitest';
import { backupdImage } from '../../support/backupd.ts';
import { PROGRAM } from '../../support/processes.ts';
import { runContainer } from '../../support/test-container.ts';

/** Makes V8 compile something beside the main thread. */
const BUSY = `
  function sum(n) { let all = 0; for (let i = 0; i < n; i += 1) all = (all * 31 + i) | 0; return all; }
  for (let i = 0; i < 200000; i += 1) sum(1000);`;

test('the program ends though a thread of V8 never does', async () => {
  const ended = await runContainer({
    image: await backupdImage(),
    entrypoint: 'node',
    args: [
      // V8 waits so long before it compiles: longer than this test may take.
      '--concurrent-recompilation-delay=600000',
      `--import=data:text/javascript,${encodeURIComponent(BUSY)}`,
      PROGRAM,
      'restore',
      '--no-such-option',
    ],
  });
  expect(ended).toMatchObject({ exitCode: 2, stdout: '' });
  expect(ended.stderr).toContain('--no-such-option');
});
