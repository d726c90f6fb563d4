import { access, mkdir } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { BackupdError, toFailure } from '../../../src/core/errors.ts';
import { hasErrorCode } from '../../../src/core/system-error.ts';
import { onStorage, storageError } from '../../../src/store/storage-error.ts';

function systemError(code: string, errno: number): Error {
  return Object.assign(new Error(`${code}: something`), { code, errno, syscall: 'write' });
}

describe('storageError', () => {
  test.each([
    ['ENOSPC', -28, 'no-space'],
    ['EDQUOT', -122, 'no-space'],
    ['EACCES', -13, 'storage-unavailable'],
    ['EROFS', -30, 'storage-unavailable'],
    ['EIO', -5, 'storage-unavailable'],
    ['ENOTDIR', -20, 'storage-unavailable'],
    ['ESTALE', -116, 'storage-unavailable'],
  ])('%s is %s', (code, errno, expected) => {
    const failure = toFailure(storageError(systemError(code, errno), '/backups/db'));
    expect(failure.code).toBe(expected);
    expect(failure.message).toContain('/backups/db');
    expect(failure.message).toContain(code);
    expect(failure.hint).not.toBeNull();
  });

  test('leaves our own errors, aborts and bugs as they are', () => {
    for (const error of [
      new BackupdError('locked', 'held'),
      new DOMException('aborted', 'AbortError'),
      new TypeError('a bug'),
    ]) {
      expect(storageError(error, '/backups')).toBe(error);
    }
  });

  test('says what the file system said', async () => {
    const work = onStorage('/proc/nothing', () => mkdir('/proc/nothing'));
    await expect(work).rejects.toThrow(/^\/proc\/nothing cannot be used: /);
  });
});

test('hasErrorCode tells codes apart', async () => {
  const error: unknown = await access('/nowhere/at/all').catch((thrown: unknown) => thrown);
  expect(hasErrorCode(error, 'EACCES', 'ENOENT')).toBe(true);
  expect(hasErrorCode(error, 'EEXIST')).toBe(false);
  expect(hasErrorCode(new BackupdError('locked', 'held'), 'locked')).toBe(false);
});
