/** A value that nobody sees by mistake: neither printed, logged nor written as JSON. */
export interface Secret<T> {
  /** For whoever uses it. */
  reveal(): T;
  toJSON(): string;
}

/** What is shown in the place of a secret. */
export const HIDDEN = '[hidden]';

/** Keeps a value where no inspection of the object finds it. */
export function secret<T>(value: T): Secret<T> {
  return { reveal: () => value, toJSON: () => HIDDEN };
}
