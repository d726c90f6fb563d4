const PROGRESS_MS = 250;

/** Says whether listeners are to be told how far work is, whenever it got further: at once, then four times a second. */
export function progressPace(): () => boolean {
  let toldAt = -Infinity;
  return () => {
    const now = performance.now();
    const isDue = now - toldAt >= PROGRESS_MS;
    toldAt = isDue ? now : toldAt;
    return isDue;
  };
}
