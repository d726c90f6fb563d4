import { expect } from 'vitest';

/** Equal to every text that contains this one. */
export function containing(text: string): unknown {
  return expect.stringContaining(text) as unknown;
}

/** Equal to every text that this pattern matches. */
export function matching(pattern: RegExp): unknown {
  return expect.stringMatching(pattern) as unknown;
}

/** Equal to every object that has these fields. */
export function having(fields: Readonly<Record<string, unknown>>): unknown {
  return expect.objectContaining(fields) as unknown;
}
