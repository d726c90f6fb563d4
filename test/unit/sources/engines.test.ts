import { expect, test } from 'vitest';
import { DEFINITIONS } from '../../../src/sources/engines.ts';

test.each([
  ['postgres', 'postgres'],
  ['docker.io/postgis/postgis', 'postgres'],
  ['mysql', 'mysql'],
  ['percona/percona-server', 'mysql'],
  ['bitnami/mariadb', 'mariadb'],
  ['mongo', 'mongodb'],
  ['mongodb/mongodb-community-server', 'mongodb'],
  ['percona/percona-server-mongodb', 'mongodb'],
  ['ghcr.io/ferretdb/ferretdb', 'mongodb'],
  ['mongo-express', undefined],
  ['my/app', undefined],
])('an image of %s is of %s', (repository, engine) => {
  expect(DEFINITIONS.find(({ images }) => images?.test(repository))?.engine).toBe(engine);
});
