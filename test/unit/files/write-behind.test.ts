import { expect, test } from 'vitest';
import { writeBehind } from '../../../src/files/write-behind.ts';

const MIB = 1024 * 1024;

/** A file whose disk takes its time: what was asked of it, and how to answer. */
function slowFile() {
  const asked: string[] = [];
  const answers: PromiseWithResolvers<void>[] = [];
  return {
    asked,
    answers,
    datasync: async () => {
      asked.push('datasync');
      const answer = Promise.withResolvers<void>();
      answers.push(answer);
      return answer.promise;
    },
    sync: async () => {
      asked.push('sync');
      return Promise.resolve();
    },
  };
}

test('sends each 32 MiB to the disk, one after the other, and the rest in the end', async () => {
  const file = slowFile();
  const behind = writeBehind(file);
  behind.wrote(31 * MIB);
  expect(file.asked).toEqual([]);
  behind.wrote(MIB);
  behind.wrote(64 * MIB);
  expect(file.asked).toEqual(['datasync']);
  const settled = behind.settle();
  expect(file.asked).toEqual(['datasync']);
  file.answers[0]?.resolve();
  await settled;
  expect(file.asked).toEqual(['datasync', 'sync']);
});

test('what the disk refused once is not forgotten, whatever it says later', async () => {
  const file = slowFile();
  const behind = writeBehind(file);
  behind.wrote(32 * MIB);
  const refused = new Error('EIO');
  file.answers[0]?.reject(refused);
  await expect(behind.settle()).rejects.toBe(refused);
  expect(() => {
    behind.wrote(1);
  }).toThrow(refused);
  expect(file.asked).toEqual(['datasync']);
});
