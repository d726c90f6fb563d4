/** What every channel has to know. */
export interface Sending {
  /** Whose backups it is about. */
  readonly namespace: string;
  /** Certificates that are trusted besides the usual ones, PEM; null: none. */
  readonly ca: string | null;
  /** Who has not answered by then will not; for each step of a conversation. */
  readonly answerWithinMs: number;
}
