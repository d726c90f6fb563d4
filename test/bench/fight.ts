import { runProcess } from '../support/run-process.ts';
import { compareTimes, type Finding } from './findings.ts';
import { runRounds, teller, type Contender, type Course } from './rounds.ts';

/** What is fought for. */
export interface Fight {
  readonly work: string;
  /** Those of the peers, in their order. */
  readonly limits: readonly number[];
}

/** Lets ours, the first of the contenders, do a work against all of its peers. */
export async function fight(
  contenders: readonly Contender[],
  { work, limits }: Fight,
  { rounds, say }: Pick<Course, 'rounds' | 'say'>,
): Promise<readonly Finding[]> {
  const [ours, ...peers] = await runRounds(contenders, rounds, teller(say, `${work}: `));
  if (ours === undefined) {
    throw new Error('a contender is missing');
  }
  return peers.map((peer, index) =>
    compareTimes(work, { ours, peer }, limits[index] ?? Number.NaN),
  );
}

/** Nothing that was done before is left to be written while something is measured. */
export async function settle(): Promise<void> {
  await runProcess(['sync']);
}
