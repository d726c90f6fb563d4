import { describe, expect, it } from 'vitest';
import type { ContainerListing } from '../../../src/core/discovery.ts';
import { resolveContainer } from '../../../src/docker/containers.ts';
import { containing, having } from '../../support/matchers.ts';

function container(
  name: string,
  project: string | null = null,
  service = name,
  labels: Record<string, string> = {},
): ContainerListing {
  return {
    id: `id-of-${name}`,
    name,
    image: 'postgres:17',
    labels: {
      ...(project === null
        ? {}
        : { 'com.docker.compose.project': project, 'com.docker.compose.service': service }),
      ...labels,
    },
    state: 'running',
    mounts: [],
  };
}

describe('resolveContainer', () => {
  const ours = container('shop-db-1', 'shop', 'db');
  const theirs = container('blog-db-1', 'blog', 'db');
  const plain = container('db');

  it('prefers a service of its own project to a container of that name', () => {
    expect(resolveContainer([plain, theirs, ours], 'db', 'shop')).toBe(ours);
  });

  it('takes an exact container name where no service of its own project has the name', () => {
    expect(resolveContainer([plain, theirs, ours], 'blog-db-1', 'shop')).toBe(theirs);
    expect(resolveContainer([plain, theirs], 'db', 'shop')).toBe(plain);
  });

  it('knows no services outside a project', () => {
    expect(resolveContainer([ours, theirs, plain], 'db', null)).toBe(plain);
    expect(() => resolveContainer([ours, theirs], 'db', null)).toThrow(
      having({ code: 'target-unavailable' }),
    );
  });

  it('refuses a service of several containers and names them', () => {
    const second = container('shop-db-2', 'shop', 'db');
    expect(() => resolveContainer([ours, second], 'db', 'shop')).toThrow(
      having({
        code: 'usage',
        message: '"db" means 2 containers of the project "shop": "shop-db-1", "shop-db-2"',
      }),
    );
    expect(resolveContainer([ours, second], 'shop-db-2', 'shop')).toBe(second);
  });

  it('does not take a one-off run of a service for the service', () => {
    const oneOff = container('shop-db-run-1', 'shop', 'db', {
      'com.docker.compose.oneoff': 'True',
    });
    expect(resolveContainer([oneOff, ours], 'db', 'shop')).toBe(ours);
  });

  it('does not take the beginning of a name for the name', () => {
    expect(() => resolveContainer([ours], 'shop-db', 'shop')).toThrow(
      having({
        code: 'target-unavailable',
        message: 'no container "shop-db"',
        hint: containing('shop-db-1'),
      }),
    );
  });
});
