import { describe, expect, it } from 'vitest';
import { processEnvironment, readEnvironment } from '../../../src/config/environment.ts';
import { textFiles } from './text-files.ts';
import { containing } from './matchers.ts';

describe('readEnvironment', () => {
  it('reads our variables and leaves others alone', async () => {
    const read = await readEnvironment(
      { PATH: '/bin', BACKUPD_KEEP: 'all', BACKUPD_SOURCE_SHOP_DB_MAX_AGE: '2x' },
      textFiles({}),
    );
    expect([...read.variables]).toEqual([
      ['BACKUPD_KEEP', { value: 'all', from: 'BACKUPD_KEEP' }],
      ['BACKUPD_SOURCE_SHOP_DB_MAX_AGE', { value: '2x', from: 'BACKUPD_SOURCE_SHOP_DB_MAX_AGE' }],
    ]);
    expect(read.unknown).toEqual([]);
    expect(read.problems).toEqual([]);
  });

  it.each([
    ['all\n', 'all'],
    ['all\r\n', 'all'],
    ['all\n\n', 'all\n'],
    ['all', 'all'],
    [' all ', ' all '],
  ])('takes the content of a file without the line end that closes it: %j', async (text, value) => {
    const read = await readEnvironment(
      { BACKUPD_KEEP_FILE: '/run/secrets/keep' },
      textFiles({ '/run/secrets/keep': text }),
    );
    expect(read.variables.get('BACKUPD_KEEP')).toEqual({ value, from: 'BACKUPD_KEEP_FILE' });
  });

  it('takes variables of sources from files too', async () => {
    const read = await readEnvironment(
      { BACKUPD_SOURCE_DB_USER_FILE: '/user' },
      textFiles({ '/user': 'backup\n' }),
    );
    expect(read.variables.get('BACKUPD_SOURCE_DB_USER')?.value).toBe('backup');
  });

  it('knows the option that is a file itself', async () => {
    const read = await readEnvironment(
      {
        BACKUPD_SOURCE_A_PASSWORD_FILE: '/in/the/target',
        BACKUPD_SOURCE_B_PASSWORD_FILE_FILE: '/here',
      },
      textFiles({ '/here': '/in/the/other\n' }),
    );
    expect(read.problems).toEqual([]);
    expect([...read.variables].map(([name, { value }]) => [name, value])).toEqual([
      ['BACKUPD_SOURCE_A_PASSWORD_FILE', '/in/the/target'],
      ['BACKUPD_SOURCE_B_PASSWORD_FILE', '/in/the/other'],
    ]);
  });

  it('refuses a variable that is there twice', async () => {
    const read = await readEnvironment(
      { BACKUPD_KEEP: 'all', BACKUPD_KEEP_FILE: '/keep' },
      textFiles({ '/keep': 'daily=7' }),
    );
    expect(read.variables.size).toBe(0);
    expect(read.problems).toEqual([
      expect.objectContaining({
        option: 'BACKUPD_KEEP',
        message: 'BACKUPD_KEEP and BACKUPD_KEEP_FILE are both set, expected one of them',
        severity: 'fatal',
      }),
    ]);
  });

  it('tells a file that cannot be read', async () => {
    const read = await readEnvironment({ BACKUPD_KEEP_FILE: '/nowhere' }, textFiles({}));
    expect(read.variables.size).toBe(0);
    expect(read.problems).toEqual([
      expect.objectContaining({
        option: 'BACKUPD_KEEP_FILE',
        message: containing('the file "/nowhere" cannot be read'),
        severity: 'fatal',
      }),
    ]);
  });

  it('reads no file for a variable that it does not know', async () => {
    const read = await readEnvironment(
      { BACKUPD_NONSENSE_FILE: '/secret', BACKUPD_SOURCE_X: 'y' },
      textFiles({}),
    );
    expect(read.unknown).toEqual(['BACKUPD_NONSENSE_FILE', 'BACKUPD_SOURCE_X']);
    expect(read.problems).toEqual([]);
  });

  it('takes an empty variable for unset only where there is no default', async () => {
    const read = await readEnvironment(
      { BACKUPD_NAMESPACE: '', BACKUPD_SOURCES: '', BACKUPD_KEEP: '' },
      textFiles({}),
    );
    expect([...read.variables.keys()]).toEqual(['BACKUPD_KEEP']);
  });
});

it('gives the environment of the process', () => {
  expect(processEnvironment()['PATH']).toBe(process.env['PATH']);
});
