#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { processIo } from './cli/io.ts';
import { runCommand } from './cli/run.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { readonly version: string };

const exitCode = await runCommand(process.argv.slice(2), {
  io: processIo(),
  version,
  async openApp(options, signal) {
    const { openApp } = await import('./compose.ts');
    return openApp({ ...options, version }, signal);
  },
  async runDaemon(app) {
    const { runDaemon } = await import('./daemon/daemon.ts');
    return runDaemon(app);
  },
});

// The only exit of the program: whatever still holds the event loop open by then does not matter any more. Not by
// process.exit(), which joins V8's threads: one that compiles may wait for the main thread to collect garbage, and then
// nothing ends, whatever the signal (nodejs/node#54918).
process.execve?.('/bin/sh', ['sh', '-c', `exit ${exitCode}`], {});
process.exit(exitCode);
