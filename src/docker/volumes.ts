import type Docker from 'dockerode';
import type { VolumeMaking } from '../core/manifest.ts';
import { BackupdError } from '../core/errors.ts';
import { callDocker, dockerStatus } from './call.ts';

/** A volume as Docker knows it. */
export interface VolumeRecord {
  readonly name: string;
  readonly making: VolumeMaking;
  /** As Docker says it: another one of the same name was made at another time. */
  readonly createdAt: string;
}

/** Whether this is a path of the host, and no name of a volume. */
export function isPath(volume: string): boolean {
  return volume.startsWith('/');
}

/** Whether Docker takes it for the name of a volume. */
export function isVolumeName(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text);
}

/** What is said where a volume, or a directory, is not there. */
export function noVolume(volume: string): BackupdError {
  return isPath(volume)
    ? new BackupdError('target-unavailable', `the host has no directory "${volume}"`, {
        hint: 'The path is one of the host, not of a container.',
      })
    : new BackupdError('target-unavailable', `there is no volume "${volume}"`, {
        hint: '"docker volume ls" lists what there is; with compose the name begins with that of the project.',
      });
}

/** A volume by its name; null where there is none. @throws BackupdError `target-unavailable` where Docker cannot be asked */
export async function inspectVolume(
  docker: Docker,
  name: string,
  signal: AbortSignal,
): Promise<VolumeRecord | null> {
  try {
    const info = await callDocker(
      docker,
      { name: 'GET /volumes/{name}' },
      async (abortSignal) => docker.getVolume(name).inspect({ abortSignal }),
      signal,
    );
    // Docker gives null where there is none of something.
    const labels: Readonly<Record<string, string>> | null = info.Labels;
    const making = { driver: info.Driver, options: info.Options ?? {}, labels: labels ?? {} };
    return { name: info.Name, making, createdAt: createdAtOf(info) };
  } catch (error) {
    if (dockerStatus(error) === 404) {
      return null;
    }
    throw error;
  }
}

function createdAtOf(info: object): string {
  return 'CreatedAt' in info ? String(info.CreatedAt) : '';
}

/** Makes a volume; one of that name that is there already stays as it is. @throws BackupdError `target-unavailable` */
export async function createVolume(
  docker: Docker,
  name: string,
  { driver, options, labels }: VolumeMaking,
  signal: AbortSignal,
): Promise<void> {
  await callDocker(
    docker,
    { name: 'POST /volumes/create' },
    async (abortSignal) =>
      docker.createVolume({
        Name: name,
        Driver: driver,
        DriverOpts: { ...options },
        Labels: { ...labels },
        abortSignal,
      }),
    signal,
  );
}

/** Removes a volume with all that it holds; one that is not there is fine. @throws BackupdError `target-unavailable` */
export async function removeVolume(
  docker: Docker,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await callDocker(
      docker,
      { name: 'DELETE /volumes/{name}' },
      async (abortSignal): Promise<unknown> => docker.getVolume(name).remove({ abortSignal }),
      signal,
    );
  } catch (error) {
    if (dockerStatus(error) !== 404) {
      throw error;
    }
  }
}
