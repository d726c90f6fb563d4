import { expect, test } from 'vitest';
import { explainFailure } from '../../../src/archive/failures.ts';
import { BackupdError } from '../../../src/core/errors.ts';

const PATH = '/backups/db/20261122T020000Z-full-3fa9.partial/shop.dump.zst';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: it happened`), { code });
}

test.each([
  ['ENOSPC', 'no-space'],
  ['EDQUOT', 'no-space'],
  ['EFBIG', 'no-space'],
  ['EIO', 'storage-unavailable'],
  ['EROFS', 'storage-unavailable'],
  ['EACCES', 'storage-unavailable'],
])('%s is %s, and says where', (errno, code) => {
  expect(explainFailure(systemError(errno), PATH)).toMatchObject({ code });
  expect(explainFailure(systemError(errno), PATH)).toHaveProperty(
    'message',
    expect.stringContaining('/backups/db/20261122T020000Z-full-3fa9.partial'),
  );
});

test.each([systemError('ECONNRESET'), new TypeError('x'), new BackupdError('dump-failed', 'y')])(
  'what is none of the file is left as it is: %s',
  (error) => {
    expect(explainFailure(error, PATH)).toBe(error);
  },
);
