/** What is measured how. */
export interface Course {
  /** Of the data; 1: as much as the limits are for. */
  readonly scales: { readonly small: number; readonly large: number };
  readonly rounds: number;
  readonly say: (line: string) => void;
}

/** What one way of doing a work took, round by round. */
export interface Samples {
  readonly name: string;
  readonly seconds: readonly number[];
}

/** A way of doing a work. */
export interface Contender {
  readonly name: string;
  /** @returns seconds; what has to be put in order before or after is outside of them */
  readonly run: () => Promise<number>;
}

/**
 * Lets all contenders do their work in each round, in turns forwards and backwards, so that what changes on the machine
 * meanwhile meets all of them.
 */
export async function runRounds(
  contenders: readonly Contender[],
  rounds: number,
  onSample: (name: string, round: number, seconds: number) => void,
): Promise<readonly Samples[]> {
  const taken = contenders.map(({ name }) => ({ name, seconds: [] as number[] }));
  for (let round = 1; round <= rounds; round += 1) {
    const order = contenders.map((contender, index) => ({ contender, index }));
    for (const { contender, index } of round % 2 === 1 ? order : order.toReversed()) {
      const seconds = await contender.run();
      taken[index]?.seconds.push(seconds);
      onSample(contender.name, round, seconds);
    }
  }
  return taken;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  const median =
    ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) /
    2;
  return { median, least: sorted.at(0) ?? Number.NaN, most: sorted.at(-1) ?? Number.NaN };
}

/** How long ours took in relation to the peer's: of the medians; least and most of the single rounds. */
export function ratioOf(ours: Samples, peer: Samples): Spread {
  const rounds = spreadOf(
    ours.seconds.map((value, round) => value / (peer.seconds[round] ?? Number.NaN)),
  );
  return { ...rounds, median: spreadOf(ours.seconds).median / spreadOf(peer.seconds).median };
}

/** Tells of every sample as it comes. */
export function teller(
  say: (line: string) => void,
  before = '',
): (name: string, round: number, seconds: number) => void {
  return (name, round, seconds) => {
    say(`${before}round ${round}: ${name}: ${seconds.toFixed(1)} s`);
  };
}
