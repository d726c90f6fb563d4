import { toFailure } from '../core/errors.ts';

/** One thing that must be in place; the hint says what to do where it is not, or where that may be meant. */
export interface Check {
  readonly name:
    | 'configuration'
    | 'docker'
    | 'sources'
    | 'target'
    | 'login'
    | 'containers'
    | 'schedule'
    | 'unsaved'
    | 'directory'
    | 'space'
    | 'catalog'
    | 'keys'
    | 'clock'
    | 'destination'
    | 'owner'
    | 'access'
    | 'lifecycle'
    | 'notify';
  /** What was looked at: a source, an option, a path. */
  readonly subject: string;
  readonly ok: boolean;
  readonly message: string;
  readonly hint: string | null;
}

export function good(name: Check['name'], subject: string, message: string): Check {
  return { name, subject, ok: true, message, hint: null };
}

export function failed(name: Check['name'], subject: string, thrown: unknown): Check {
  const { message, hint } = toFailure(thrown);
  return { name, subject, ok: false, message, hint };
}

/** What is as it may be and should be known. */
export function note(name: Check['name'], subject: string, message: string, hint: string): Check {
  return { name, subject, ok: true, message, hint };
}
