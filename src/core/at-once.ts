/**
 * Does a piece of work for each of these, so many at a time. Resolves when all are done; the first failure lets no more
 * begin, and is thrown when those that had begun have ended.
 */
export async function atOnce<Item>(
  items: Iterable<Item>,
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = items[Symbol.iterator]();
  const failures: unknown[] = [];

  async function takeTurns(): Promise<void> {
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failures.push(error);
      }
      if (failures.length > 0) {
        return;
      }
    }
  }

  await Promise.all(Array.from({ length: width }, takeTurns));
  if (failures.length > 0) {
    throw failures[0];
  }
}
