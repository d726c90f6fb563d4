import type Docker from 'dockerode';
import { BackupdError } from '../core/errors.ts';
import type { ContainerRecord } from '../docker/containers.ts';
import { reasonOf } from '../docker/exec-failure.ts';
import type { ExecRequest } from '../docker/exec.ts';
import { runExec } from '../docker/run-exec.ts';

/** The container that settings are read in. */
export interface SettingsTarget extends Pick<ExecRequest, 'containerId' | 'container' | 'run'> {
  readonly docker: Docker;
}

/**
 * A setting as the official images read them: the variable, or the content of the file that `<variable>_FILE` names; null
 * where neither is set.
 * @throws BackupdError `dump-failed` where the file cannot be read
 */
export async function readSetting(
  at: SettingsTarget,
  record: Pick<ContainerRecord, 'env'>,
  variable: string,
  signal: AbortSignal,
): Promise<string | null> {
  const file = record.env.get(`${variable}_FILE`);
  const value = record.env.get(variable);
  if (file !== undefined && file !== '') {
    return readTargetFile(at, file, signal);
  }
  return value === undefined || value === '' ? null : value;
}

/** A file inside the target, without the newline at its end. @throws BackupdError `dump-failed` where it cannot be read */
export async function readTargetFile(
  at: SettingsTarget,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const { docker, ...base } = at;
  const result = await runExec(docker, { ...base, argv: ['cat', '--', path] }, signal);
  if (result.exitCode !== 0) {
    throw new BackupdError(
      'dump-failed',
      `cannot read "${path}" in container "${at.container}": ${reasonOf(result, result.stderr)}`,
      {
        hint: 'The file named by the label or by the _FILE variable must be readable inside the container.',
      },
    );
  }
  return result.stdout.replace(/\r?\n$/, '');
}
