import { memoryDestination } from '../support/memory-destination.ts';
import { describeDestination } from './destination-contract.ts';

describeDestination('in memory', () => {
  const one = memoryDestination();
  return Promise.resolve({
    open: () => Promise.resolve(one),
    what: { listsUploadsByPrefix: true, keepsVersions: false },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});
