import { describe, expect, it } from 'vitest';
import {
  absolutePath,
  anyText,
  compression,
  duration,
  engine,
  FormatError,
  maxAge,
  nameList,
  oneOf,
  plainName,
  portOrOff,
  timeout,
  wholeNumber,
  yesOrNo,
  type Format,
} from '../../../src/config/formats.ts';

function readAs<T>(kind: Format<T>, text: string): unknown {
  try {
    return kind.parse(text);
  } catch (error) {
    if (error instanceof FormatError) {
      return FormatError;
    }
    throw error;
  }
}

describe('formats', () => {
  it.each<[string, Format<unknown>, string, unknown]>([
    ['a word of the list', oneOf(['auto', 'off']), 'off', 'off'],
    ['blanks around it', oneOf(['auto', 'off']), ' auto\n', 'auto'],
    ['another word', oneOf(['auto', 'off']), 'on', FormatError],
    ['another case', oneOf(['auto', 'off']), 'Off', FormatError],
    ['no word', oneOf(['auto', 'off']), '', FormatError],
    ['true', yesOrNo, 'true', true],
    ['false', yesOrNo, 'false', false],
    ['yes', yesOrNo, 'yes', FormatError],
    ['the least number', wholeNumber(1, 64), '1', 1],
    ['the most', wholeNumber(1, 64), '64', 64],
    ['too little', wholeNumber(1, 64), '0', FormatError],
    ['too much', wholeNumber(1, 64), '65', FormatError],
    ['a negative number', wholeNumber(1, 64), '-1', FormatError],
    ['a fraction', wholeNumber(1, 64), '1.5', FormatError],
    ['an exponent', wholeNumber(1, 64), '1e1', FormatError],
    ['a hexadecimal number', wholeNumber(1, 64), '0x10', FormatError],
    ['no number', wholeNumber(0, 64), '', FormatError],
    ['a port', portOrOff, '9321', 9321],
    ['no port', portOrOff, 'off', null],
    ['port 0', portOrOff, '0', FormatError],
    ['port 65536', portOrOff, '65536', FormatError],
    ['a duration', duration, '1h30m', 5_400_000],
    ['a duration of zero', duration, '0s', 0],
    ['a duration without unit', duration, '90', FormatError],
    ['a negative duration', duration, '-1h', FormatError],
    ['no duration', duration, '', FormatError],
    ['a timeout', timeout, '6h', 21_600_000],
    ['the longest timeout', timeout, '24d', 2_073_600_000],
    ['a timeout that no timer can wait for', timeout, '25d', FormatError],
    ['a timeout of zero', timeout, '0', FormatError],
    ['a multiple', maxAge, '1.5x', { intervals: 1.5 }],
    ['a fixed age', maxAge, '26h', { ms: 93_600_000 }],
    ['a multiple below one', maxAge, '0.5x', FormatError],
    ['an age of zero', maxAge, '0s', FormatError],
    ['an age without unit', maxAge, '26', FormatError],
    ['zstd', compression, 'zstd:3', { algorithm: 'zstd', level: 3 }],
    ['zstd at its highest', compression, 'zstd:19', { algorithm: 'zstd', level: 19 }],
    ['zstd beyond', compression, 'zstd:20', FormatError],
    ['zstd at level 0', compression, 'zstd:0', FormatError],
    ['gzip', compression, 'gzip:9', { algorithm: 'gzip', level: 9 }],
    ['gzip beyond', compression, 'gzip:10', FormatError],
    ['no compression', compression, 'none', { algorithm: 'none', level: 0 }],
    ['an algorithm alone', compression, 'zstd', FormatError],
    ['another algorithm', compression, 'xz:3', FormatError],
    ['an absolute path', absolutePath, '/var/backups', '/var/backups'],
    ['a relative path', absolutePath, 'backups', FormatError],
    ['no path', absolutePath, '', FormatError],
    ['a name', plainName, 'shop-db_1.x', 'shop-db_1.x'],
    ['a name in capitals', plainName, 'Shop', FormatError],
    ['a name that begins with a dot', plainName, '.shop', FormatError],
    ['a name of 63 characters', plainName, 'a'.repeat(63), 'a'.repeat(63)],
    ['a name of 64 characters', plainName, 'a'.repeat(64), FormatError],
    ['a text', anyText, 'Back Up', 'Back Up'],
    ['a blank text', anyText, '  ', FormatError],
    ['names', nameList, 'shop, My Db ,x', ['shop', 'My Db', 'x']],
    ['one name', nameList, 'shop', ['shop']],
    ['an empty name among them', nameList, 'shop,,x', FormatError],
    ['a comma at the end', nameList, 'shop,', FormatError],
    ['no names', nameList, '', FormatError],
    ['the engine', engine, 'postgres', 'postgres'],
    ['the engine of what is no container', engine, 'volume', FormatError],
    ['no engine', engine, 'postgresql', FormatError],
  ])('%s', (_, kind, text, expected) => {
    expect(readAs(kind, text)).toEqual(expected);
  });

  it('says how volumes are named', () => {
    expect(() => engine.parse('volume')).toThrow('backupd.volumes names those that it uses');
  });

  it('suggests an engine', () => {
    expect(() => engine.parse('postgresql')).toThrow('perhaps postgres was meant');
  });
});
