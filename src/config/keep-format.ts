import { parseDurationMs } from '../core/duration.ts';
import type { RetentionPolicy } from '../core/job.ts';
import { suggest } from '../core/suggest.ts';
import { FormatError, type Format } from './formats.ts';

const COUNTS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const RULES = [...COUNTS, 'within'];

/** `hourly=24 daily=7 within=30d`, or `all`. */
export const keep: Format<RetentionPolicy> = {
  expected:
    'all, or rules such as "daily=7 weekly=4" out of last=, hourly=, daily=, weekly=, monthly=, yearly= and within=30d, separated by blanks, at least one of them above 0',
  parse(text) {
    if (text.trim() === 'all') {
      return { all: true };
    }
    const rules = new Map<string, number>();
    for (const word of text.trim().split(/\s+/)) {
      const [name, value] = readRule(word);
      if (rules.has(name)) {
        throw new FormatError(`${name}= is there twice`);
      }
      rules.set(name, value);
    }
    if (Math.max(...rules.values()) === 0) {
      throw new FormatError('it keeps nothing');
    }
    return {
      all: false,
      last: rules.get('last') ?? 0,
      hourly: rules.get('hourly') ?? 0,
      daily: rules.get('daily') ?? 0,
      weekly: rules.get('weekly') ?? 0,
      monthly: rules.get('monthly') ?? 0,
      yearly: rules.get('yearly') ?? 0,
      withinMs: rules.get('within') ?? 0,
    };
  },
};

function readRule(word: string): readonly [string, number] {
  const equals = word.indexOf('=');
  const name = word.slice(0, Math.max(0, equals));
  const value = word.slice(equals + 1);
  if (word === '') {
    throw new FormatError('it is empty');
  }
  if (!RULES.includes(name)) {
    const meant = suggest(name === '' ? word : name, RULES);
    throw new FormatError(
      `"${word}" is no rule${meant === null ? '' : `, perhaps ${meant}= was meant`}`,
    );
  }
  const number =
    name === 'within' ? parseDurationMs(value) : /^\d{1,9}$/.test(value) ? Number(value) : null;
  if (number === null) {
    throw new FormatError(
      `"${word}" needs ${name === 'within' ? 'a duration such as 30d' : 'a whole number'}`,
    );
  }
  return [name, number];
}
