import type { CommandTarget } from './halts.ts';
import type { VolumeMaking } from './manifest.ts';

export const ENGINES = ['postgres', 'mysql', 'mariadb', 'mongodb', 'volume'] as const;

export type Engine = (typeof ENGINES)[number];

/** A container as it is now: it may have been recreated since the last run. */
export interface ContainerTarget {
  readonly containerId: string;
  readonly container: string;
  readonly image: string;
  readonly imageId: string;
  readonly repoDigests: readonly string[];
}

/** A volume, or a directory of the host. */
export interface VolumeTarget {
  /** The name as Docker knows it; for a directory its path, which begins with "/". */
  readonly volume: string;
  /** All that it takes to make it again; null for a directory. */
  readonly made: VolumeMaking | null;
  /** The container whose labels made it a source, for commands around a backup; null where none did. */
  readonly labelled: CommandTarget | null;
}

/** What a source lives in. */
export type TargetRef = ContainerTarget | VolumeTarget;

/** What people call a target. */
export function targetName(target: TargetRef): string {
  return 'volume' in target ? target.volume : target.container;
}

/** Whether both are the same target, and not just two of one name. */
export function isSameTarget(one: TargetRef, other: TargetRef): boolean {
  if ('volume' in one) {
    return 'volume' in other && one.volume === other.volume;
  }
  return 'containerId' in other && one.containerId === other.containerId;
}

/** The container that an engine of databases works in; it is never given anything else. */
export function asContainer(target: TargetRef): ContainerTarget {
  if ('volume' in target) {
    throw new Error(`"${target.volume}" is no container`);
  }
  return target;
}

/** Where commands around a backup are run; null where there is no container for them. */
export function commandTarget(target: TargetRef): CommandTarget | null {
  return 'volume' in target ? target.labelled : target;
}

/** The container that the work on a target is done in; null where that is none of those around. */
export function containerOfTarget(target: TargetRef): CommandTarget | null {
  return 'volume' in target ? null : target;
}
