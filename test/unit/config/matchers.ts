import { expect } from 'vitest';

/** Equal to every text that contains this one. */
export function containing(text: string): unknown {
  return expect.stringContaining(text) as unknown;
}
