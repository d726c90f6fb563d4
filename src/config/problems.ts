import type { ConfigProblem } from '../core/discovery.ts';
import { FormatError, type Format } from './formats.ts';

/** Where a value stands, and whom a wrong one concerns. */
export interface Origin {
  /** Null: everything. */
  readonly source: string | null;
  /** The variable, label or key, with where it is. */
  readonly option: string;
}

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: ConfigProblem };

/** Reads a text by its format; a wrong one becomes a problem of the source, or of everything. */
export function readValue<T>(kind: Format<T>, text: string, origin: Origin): Read<T> {
  try {
    return { ok: true, value: kind.parse(text) };
  } catch (error) {
    if (error instanceof FormatError) {
      return { ok: false, problem: wrongValue(kind, text, { ...origin, detail: error.message }) };
    }
    throw error;
  }
}

/** The problem that a value is wrong; it names the value, unless that is hidden, and what was expected. */
export function wrongValue(
  kind: Pick<Format<unknown>, 'expected'>,
  text: string,
  where: Origin & { readonly detail: string; readonly isHidden?: boolean },
): ConfigProblem {
  const detail = where.detail === '' ? '' : ` (${where.detail})`;
  const value = where.isHidden === true ? 'its value' : JSON.stringify(text);
  return {
    source: where.source,
    option: where.option,
    message: `${value} is not valid${detail}, expected ${kind.expected}`,
    hint: null,
    severity: where.source === null ? 'fatal' : 'source',
  };
}

/** The problem that an option is not known: said, stops nothing. */
export function unknownOption(
  origin: Origin,
  message: string,
  meant: string | null,
): ConfigProblem {
  return {
    ...origin,
    message,
    hint:
      meant === null
        ? 'See docs/configuration.md for what there is, or remove it.'
        : `Perhaps ${meant} was meant.`,
    severity: 'loud',
  };
}
