import { expect } from 'vitest';
import { jobsFrom, type JobsFound } from '../../../src/config/jobs.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { ConfigProblem, ContainerListing } from '../../../src/core/discovery.ts';
import { textFiles } from './text-files.ts';

/** Backupd's own compose project in these tests. */
export const OWN = { project: 'shop' };

interface ContainerSpec {
  readonly id?: string;
  readonly name?: string;
  readonly image?: string;
  readonly state?: string;
  readonly project?: string | null;
  readonly service?: string | null;
  readonly oneoff?: string;
  readonly mounts?: ContainerListing['mounts'];
}

/** A container of the service `db` in the project `shop`, unless said otherwise; labels without their prefix. */
export function container(
  labels: Readonly<Record<string, string>>,
  spec: ContainerSpec = {},
): ContainerListing {
  const { project = 'shop', service = 'db', state = 'running', image = 'postgres:17' } = spec;
  const name = spec.name ?? `${project}-${service}-1`;
  const compose = {
    'com.docker.compose.project': project,
    'com.docker.compose.service': service,
    'com.docker.compose.oneoff': spec.oneoff ?? 'False',
  };
  return {
    id: spec.id ?? `id of ${name}`,
    name,
    image,
    state,
    mounts: spec.mounts ?? [],
    labels: {
      ...(project === null || service === null ? {} : (compose as Record<string, string>)),
      ...Object.fromEntries(
        Object.entries(labels).map(([label, value]) => [`backupd.${label}`, value]),
      ),
    },
  };
}

interface Given {
  readonly environment?: Readonly<Record<string, string>>;
  readonly file?: string;
  readonly containers?: readonly ContainerListing[] | null;
  readonly own?: { readonly project: string | null };
}

/** What is found with a configuration and containers. */
export async function findJobs(given: Given): Promise<JobsFound> {
  const { environment = {}, file, containers = [], own = OWN } = given;
  const config = await loadConfig(
    file === undefined ? environment : { ...environment, BACKUPD_CONFIG: '/c.yml' },
    textFiles({ '/c.yml': file ?? '' }),
  );
  return jobsFrom(config, containers, own);
}

/** The names of the sources that are found, where nothing is wrong. */
export async function findNames(given: Given): Promise<readonly string[]> {
  const { jobs, problems } = await findJobs(given);
  expect(problems).toEqual([]);
  return jobs.map((job) => job.source);
}

/** Problems in a line each. */
export function brief(problems: readonly ConfigProblem[]): readonly string[] {
  return problems.map(({ severity, source, option }) => `${severity} ${source ?? '-'}: ${option}`);
}
