import type { ContainerMount } from './containers.ts';

/** What Docker calls a volume that was given no name. */
const ANONYMOUS = /^[0-9a-f]{64}$/;

/**
 * Why what is written to a directory of this container is lost with it, as the end of a sentence about the directory;
 * null where it stays.
 * @param mounts those of this container
 */
export function whyPerishable(dir: string, mounts: readonly ContainerMount[]): string | null {
  const [mount] = mounts
    .filter(({ destination }) => dir === destination || dir.startsWith(`${destination}/`))
    .toSorted((one, other) => other.destination.length - one.destination.length);
  if (mount === undefined) {
    return "is inside backupd's own container, and is gone with it";
  }
  if (mount.type === 'tmpfs') {
    return 'is in memory, and is gone when this container stops';
  }
  if (mount.type === 'volume' && ANONYMOUS.test(mount.name ?? '')) {
    return 'is a volume without a name, made for this container alone: "docker run --rm" removes it at the end, and no other container sees it';
  }
  return null;
}
