import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { STOCK_TOOLS } from './keys.ts';
import { runProcess, type ProcessResult } from './run-process.ts';
import { temporaryFolder } from './storage.ts';
import { startContainer } from './test-container.ts';

/** A shell of this host, in a folder of its own, whose stock tools are those of a container. */
export interface StockShell extends AsyncDisposable {
  readonly dir: string;
  /** Runs lines as somebody types them, one after the other, until one fails. */
  run(lines: string): Promise<ProcessResult>;
}

const TOOLS = ['age', 'aws', 'gpg', 'rclone', 'zstd'];

export async function openStockShell(): Promise<StockShell> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await temporaryFolder());
  const container = stack.use(
    await startContainer({
      image: STOCK_TOOLS,
      volumes: [`${dir}:${dir}`],
      user: `${process.getuid?.()}:${process.getgid?.()}`,
      env: { HOME: '/tmp' },
      network: 'host',
      args: ['sleep', 'infinity'],
      more: ['--init'],
    }),
  );
  const bin = join(dir, 'bin');
  await mkdir(bin);
  // What this host has set besides, such as authorities of its own, is none of theirs.
  const settings = String.raw`$(env | sed -n 's/^\(AWS_[A-Z_]*KEY[A-Z_]*\|AWS_DEFAULT_REGION\|RCLONE_[A-Z0-9_]*\)=.*/--env \1/p')`;
  for (const tool of TOOLS) {
    const line = `exec docker exec --interactive --workdir "$PWD" ${settings} ${container.name} ${tool} "$@"`;
    await writeFile(join(bin, tool), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  }
  const kept = stack.move();
  return {
    dir,
    run: async (lines) =>
      runProcess(['bash', '-euo', 'pipefail', '-c', `cd ${dir}\n${lines}`], {
        env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` },
      }),
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}
