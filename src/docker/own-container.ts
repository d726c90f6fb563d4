/** The files that tell a process which container it runs in. */
export interface OwnTraces {
  /** `/proc/self/mountinfo` */
  readonly mountinfo: string;
  /** `/proc/self/cgroup` */
  readonly cgroup: string;
  readonly hostname: string;
}

/**
 * Ids of containers this process may be in, the surest first: without cgroup namespaces the cgroup ends with the id;
 * Docker mounts three files of a container's own folder (on the host itself such folders are mounted elsewhere), but where
 * a network is another container's they are that one's; and the host name is the id's beginning unless it was set.
 */
export function ownContainerIds(traces: OwnTraces): readonly string[] {
  const ids = new Set<string>();
  for (const [, id = ''] of traces.cgroup.matchAll(/[/-]([0-9a-f]{64})(?:\.scope)?$/gm)) {
    ids.add(id);
  }
  for (const { root, mountPoint } of mountsIn(traces)) {
    const id = /\/([0-9a-f]{64})\//.exec(root)?.[1];
    if (id !== undefined && /^\/etc\/(?:hostname|hosts|resolv\.conf)$/.test(mountPoint)) {
      ids.add(id);
    }
  }
  if (/^[0-9a-f]{12}$/.test(traces.hostname)) {
    ids.add(traces.hostname);
  }
  return [...ids];
}

/** Where something is mounted. */
export function mountPoints(traces: OwnTraces): ReadonlySet<string> {
  return new Set(mountsIn(traces).map(({ mountPoint }) => mountPoint));
}

function mountsIn({
  mountinfo,
}: OwnTraces): readonly { readonly root: string; readonly mountPoint: string }[] {
  return mountinfo.split('\n').map((line) => {
    const [, , , root = '', mountPoint = ''] = line.split(' ');
    // Blanks in it are written as octal numbers.
    const plain = mountPoint.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCodePoint(Number.parseInt(digits, 8)),
    );
    return { root, mountPoint: plain };
  });
}
