/** How often messages were refused, and when they were last, by what they are about. */
export type Refusals = Readonly<Record<string, { readonly times: number; readonly at: string }>>;

/** So often what was refused is tried again in its place; then it waits by itself, and others go before it. */
export const MOST_REFUSALS = 3;
const HELD_MS = 3_600_000;

/** @returns with one more of each of these, and how often the one was that was refused least */
export function addRefusal(
  refusals: Refusals,
  keys: readonly string[],
  nowMs: number,
): { readonly refusals: Refusals; readonly leastTimes: number } {
  const at = new Date(nowMs).toISOString();
  const added = keys.map((key) => [key, { times: (refusals[key]?.times ?? 0) + 1, at }] as const);
  return {
    refusals: { ...refusals, ...Object.fromEntries(added) },
    leastTimes: Math.min(...added.map(([, { times }]) => times)),
  };
}

/** Whether it was refused so often that it waits by itself. */
export function isHeldBack(refusals: Refusals, key: string, nowMs: number): boolean {
  const refusal = refusals[key];
  if (refusal === undefined || refusal.times < MOST_REFUSALS) {
    return false;
  }
  const waitedMs = nowMs - Date.parse(refusal.at);
  // A clock that was set back holds nothing for ever.
  return waitedMs >= 0 && waitedMs < HELD_MS;
}

/** Those of what is still to be told. */
export function keepRefusals(refusals: Refusals, isWanted: (key: string) => boolean): Refusals {
  return Object.fromEntries(Object.entries(refusals).filter(([key]) => isWanted(key)));
}
