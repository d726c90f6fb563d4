import { describe, expect, it } from 'vitest';
import { schedule, timezone } from '../../../src/config/schedule-format.ts';

describe('schedule', () => {
  it.each([
    ['0 2 * * *', ['0 2 * * *']],
    ['30 0 2 * * *', ['30 0 2 * * *']],
    ['@daily', ['@daily']],
    ['0 2 * * MON-FRI', ['0 2 * * MON-FRI']],
    [' 0 2 * * *;  0  14 * * * ', ['0 2 * * *', '0 14 * * *']],
    ['off', []],
    [' off ', []],
  ])('reads "%s"', (text, patterns) => {
    expect(schedule.parse(text)).toEqual(patterns);
  });

  it.each([
    ['', 'has not 5 or 6 fields'],
    ['0 2 * *', '"0 2 * *" has not 5 or 6 fields'],
    ['0 0 2 * * * 2030', 'has not 5 or 6 fields'],
    ['2030-01-01T02:00:00', 'has not 5 or 6 fields'],
    ['0 2 * * *;', '"" has not 5 or 6 fields'],
    ['0 2 * * *; off', 'off stands alone'],
    ['0 25 * * *', 'Invalid value for hour: 25'],
    ['*/0 * * * *', 'illegal stepping'],
    ['0 0 30 2 *', '"0 0 30 2 *" never occurs'],
    ['@reboot', '"@reboot"'],
    ['@every 5m', '"@every 5m"'],
    ['@dayly', '"@dayly"'],
  ])('refuses "%s"', (text, message) => {
    expect(() => schedule.parse(text)).toThrow(message);
  });
});

describe('timezone', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+1'])(
    'reads %s',
    (name) => {
      expect(timezone.parse(` ${name}`)).toBe(name);
    },
  );

  it.each(['', 'Europe/Atlantis', '+01:00', 'GMT+1', '/etc/localtime'])('refuses "%s"', (name) => {
    expect(() => timezone.parse(name)).toThrow();
  });
});
