import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FAILURES } from '../../src/core/errors.ts';
import { ROOT, rows } from '../support/documents.ts';

/** What looks at a source while it is backed up; other warnings are those of a restore. */
const WARNING_FILES = [
  'core/shrinkage.ts',
  'encryption/gpg.ts',
  'jobs/describe-backup.ts',
  'sources/mongodb/accounts.ts',
  'sources/mongodb/dump.ts',
  'sources/mysql/dump.ts',
  'sources/mysql/privileges.ts',
  'sources/postgres/dump.ts',
  'sources/postgres/globals.ts',
  'sources/volume/dump.ts',
];

test('every warning of a backup is explained', async () => {
  const texts = await Promise.all(
    WARNING_FILES.map(async (file) => readFile(join(ROOT, 'src', file), 'utf8')),
  );
  const codes = texts
    .flatMap((text) => [...text.matchAll(/\bcode: '([a-z-]+)'/g)])
    .map(([, code = '']) => code)
    .filter((code) => !Object.hasOwn(FAILURES, code));
  const [, table = ''] = (await readFile(join(ROOT, 'docs/metrics.md'), 'utf8')).split(
    'Codes of warnings:\n',
  );
  const [, ...explained] = rows(table).map(([cell = '']) => cell.replaceAll('`', ''));
  expect(explained.toSorted()).toEqual([...new Set(codes)].toSorted());
});
