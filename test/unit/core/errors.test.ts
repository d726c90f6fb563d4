import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BackupdError, toFailure } from '../../../src/core/errors.ts';

describe('toFailure', () => {
  it('says what an error of ours says', () => {
    const error = new BackupdError('locked', 'somebody works on it', { hint: 'Wait.' });
    expect(toFailure(error)).toEqual({
      code: 'locked',
      message: 'somebody works on it',
      hint: 'Wait.',
    });
  });

  it('takes what a limit ended for no bug', async () => {
    const signal = AbortSignal.timeout(1);
    await once(signal, 'abort');
    expect(toFailure(signal.reason)).toMatchObject({ code: 'timeout' });
  });

  it('takes what was aborted for cancelled', () => {
    expect(toFailure(AbortSignal.abort().reason)).toMatchObject({ code: 'cancelled' });
  });

  it('takes everything else for a bug', () => {
    expect(toFailure(new TypeError('x is undefined'))).toMatchObject({
      code: 'internal',
      message: 'x is undefined',
    });
  });
});
