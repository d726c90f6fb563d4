import { Cron } from 'croner';
import { FormatError, type Format } from './formats.ts';

/** Cron patterns, any of which is an occurrence; none for `off`. */
export const schedule: Format<readonly string[]> = {
  expected:
    'cron patterns of 5 or 6 fields such as "0 2 * * *", or @hourly, @daily, @weekly, @monthly, @yearly, several separated by ";"; or off',
  parse(text) {
    if (text.trim() === 'off') {
      return [];
    }
    const patterns = text.split(';').map((pattern) => pattern.trim().replaceAll(/\s+/g, ' '));
    for (const pattern of patterns) {
      checkPattern(pattern);
    }
    return patterns;
  },
};

function checkPattern(pattern: string): void {
  // A date would pass as a pattern that occurs once.
  if (!pattern.startsWith('@') && ![5, 6].includes(pattern.split(' ').length)) {
    throw new FormatError(
      pattern === 'off' ? 'off stands alone' : `"${pattern}" has not 5 or 6 fields`,
    );
  }
  if (firstOccurrence(pattern) === null) {
    throw new FormatError(`"${pattern}" never occurs`);
  }
}

function firstOccurrence(pattern: string): Date | null {
  try {
    // By an offset, since a zone by its name makes the runtime load what it knows of zones: 20 ms of each command.
    return new Cron(pattern, { paused: true, mode: '5-or-6-parts', utcOffset: 0 }).nextRun();
  } catch (error) {
    const detail = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : '';
    throw new FormatError(`"${pattern}": ${detail}`, { cause: error });
  }
}

/** IANA names of time zones. */
export const timezone: Format<string> = {
  expected: 'an IANA time zone such as Europe/Berlin or UTC',
  parse(text) {
    const name = text.trim();
    // Offsets such as +01:00 would pass, without the changes of a real zone.
    if (!/^[A-Za-z]/.test(name) || !isTimezone(name)) {
      throw new FormatError();
    }
    return name;
  },
};

function isTimezone(name: string): boolean {
  // Known without loading what the runtime knows of zones, which takes as long as the rest of a configuration.
  if (name === 'UTC') {
    return true;
  }
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    // The one thing that this constructor throws for is an unknown zone.
    return false;
  }
}
