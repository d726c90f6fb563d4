import { execFileSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Step } from '../../src/core/steps.ts';

/** Scratch containers and volumes that there are of an owner: `<identity>/<source>`. */
export function scratchesOf(owner: string): readonly string[] {
  const filter = ['--filter', `label=backupd-scratch=${owner}`];
  const [containers, volumes] = [
    ['ps', '--all', '--format', '{{.Names}}'],
    ['volume', 'ls', '--format', '{{.Name}}'],
  ].map((argv) => execFileSync('docker', [...argv, ...filter], { encoding: 'utf8' }));
  return `${containers}${volumes}`.split('\n').filter((line) => line !== '');
}

/** For what a test that failed would leave. */
export function removeScratchesOf(owner: string): void {
  const names = scratchesOf(owner);
  if (names.length > 0) {
    execFileSync('docker', [
      'rm',
      '--force',
      '--volumes',
      ...names.filter((name) => !/-\d$/.test(name)),
    ]);
    execFileSync('docker', ['volume', 'rm', '--force', ...names]);
  }
}

/** Does something, while everything else in this process waits, each time that a step is passed, until it is disposed. */
export function whenReached(step: Step, act: () => void): Disposable {
  function listen(passed: unknown): void {
    if (passed === step) {
      act();
    }
  }
  subscribe('backupd:step', listen);
  return {
    [Symbol.dispose]() {
      unsubscribe('backupd:step', listen);
    },
  };
}
