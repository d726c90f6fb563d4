/** The files that tell a process which container it runs in. */
export interface OwnTraces {
  /** `/proc/self/mountinfo` */
  readonly mountinfo: string;
  /** `/proc/self/cgroup` */
  readonly cgroup: string;
  readonly hostname: string;
}

/**
 * Ids of containers this process may be in, the surest first: Docker mounts three files of a container's own folder
 * (on the host itself such folders are mounted elsewhere); without cgroup namespaces the cgroup ends with the id; and
 * the host name is the id's beginning unless it was set.
 */
export function ownContainerIds(traces: OwnTraces): readonly string[] {
  const ids = new Set<string>();
  for (const line of traces.mountinfo.split('\n')) {
    const [, , , root = '', mountPoint = ''] = line.split(' ');
    const id = /\/([0-9a-f]{64})\//.exec(root)?.[1];
    if (id !== undefined && /^\/etc\/(?:hostname|hosts|resolv\.conf)$/.test(mountPoint)) {
      ids.add(id);
    }
  }
  for (const [, id = ''] of traces.cgroup.matchAll(/[/-]([0-9a-f]{64})(?:\.scope)?$/gm)) {
    ids.add(id);
  }
  if (/^[0-9a-f]{12}$/.test(traces.hostname)) {
    ids.add(traces.hostname);
  }
  return [...ids];
}
