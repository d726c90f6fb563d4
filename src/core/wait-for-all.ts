/**
 * What all of these resolve with. Unlike `Promise.all` it fails only when each has ended: processes that were started side
 * by side are over then, whichever of them failed.
 */
export async function waitForAll<const Work extends readonly Promise<unknown>[]>(
  work: Work,
): Promise<{ -readonly [Index in keyof Work]: Awaited<Work[Index]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
