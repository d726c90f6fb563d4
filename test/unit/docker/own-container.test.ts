import { describe, expect, it } from 'vitest';
import { mountPoints, ownContainerIds } from '../../../src/docker/own-container.ts';

const ID = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);
const nothing = { mountinfo: '', cgroup: '', hostname: 'orders-host' };

describe('ownContainerIds', () => {
  it('reads the folder that Docker mounts files from', () => {
    const mountinfo = `1 2 0:1 / / rw - overlay overlay rw
7 1 254:1 /var/lib/docker/containers/${ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw
8 1 254:1 /var/lib/docker/containers/${ID}/hosts /etc/hosts rw,relatime - ext4 /dev/vda1 rw`;
    expect(ownContainerIds({ ...nothing, mountinfo })).toEqual([ID]);
  });

  it('is not misled by the folders of all containers, as a host has them mounted', () => {
    const mountinfo = `9 1 0:40 / /var/lib/docker/containers/${OTHER}/mounts/shm rw - tmpfs shm rw
10 1 254:1 /data/${OTHER}/x /var/lib/x rw - ext4 /dev/vda1 rw`;
    expect(ownContainerIds({ ...nothing, mountinfo })).toEqual([]);
  });

  it.each([
    ['cgroup v1', `12:memory:/docker/${ID}\n11:cpu:/docker/${ID}`],
    ['systemd', `0::/system.slice/docker-${ID}.scope`],
  ])('reads the cgroup (%s)', (_name, cgroup) => {
    expect(ownContainerIds({ ...nothing, cgroup })).toEqual([ID]);
  });

  it('tries the host name last, and only where it looks like an id', () => {
    const cgroup = `0::/docker/${ID}`;
    expect(ownContainerIds({ mountinfo: '', cgroup, hostname: 'cdcdcdcdcdcd' })).toEqual([
      ID,
      'cdcdcdcdcdcd',
    ]);
    expect(ownContainerIds(nothing)).toEqual([]);
  });

  it('believes the cgroup more than files, which in the network of another container are of that one', () => {
    const mountinfo = `7 1 254:1 /var/lib/docker/containers/${OTHER}/hostname /etc/hostname rw - ext4 /dev/vda1 rw`;
    const cgroup = `11:cpu:/docker/${ID}`;
    expect(ownContainerIds({ ...nothing, mountinfo, cgroup })).toEqual([ID, OTHER]);
  });
});

it('mount points are read as they are called', () => {
  const mountinfo = `7 1 254:1 / /my\\040files rw - ext4 /dev/vda1 rw
8 1 254:1 / /backups rw - ext4 /dev/vda1 rw`;
  expect([...mountPoints({ ...nothing, mountinfo })]).toEqual(['/my files', '/backups']);
});
