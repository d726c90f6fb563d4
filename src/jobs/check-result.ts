import { toFailure } from '../core/errors.ts';

/** One thing that must be in place; the hint says what to do where it is not. */
export interface Check {
  readonly name:
    | 'configuration'
    | 'docker'
    | 'sources'
    | 'target'
    | 'login'
    | 'containers'
    | 'schedule'
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
