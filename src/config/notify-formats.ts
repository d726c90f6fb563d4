import { ALARM_EVENTS, type AlarmEvent } from '../core/incident.ts';
import { secret, type Secret } from '../core/secret.ts';
import { FormatError, type Format } from './formats.ts';

/** An address whose path or query is a secret. */
export const secretUrl: Format<Secret<string>> = {
  expected: 'an address that begins with https:// or http://',
  parse(text) {
    const url = URL.parse(text.trim());
    if (url === null || !['http:', 'https:'].includes(url.protocol)) {
      throw new FormatError();
    }
    return secret(text.trim());
  },
};

export const plainUrl: Format<string> = {
  expected: secretUrl.expected,
  parse: (text) => secretUrl.parse(text).reveal(),
};

/** `smtp://user:password@host:587`: TLS by STARTTLS; `smtps://`: TLS from the start. */
export const smtpUrl: Format<Secret<string>> = {
  expected:
    'smtp://HOST:PORT or smtps://HOST:PORT, with USER:PASSWORD@ before the host where the server asks for them, percent-encoded',
  parse(text) {
    const url = URL.parse(text.trim());
    if (url === null || !['smtp:', 'smtps:'].includes(url.protocol) || url.hostname === '') {
      throw new FormatError();
    }
    if (!['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '') {
      throw new FormatError('nothing follows host and port');
    }
    if ((url.username === '') !== (url.password === '')) {
      throw new FormatError('user and password belong together');
    }
    for (const part of [url.username, url.password]) {
      checkEncoding(part);
    }
    return secret(text.trim());
  },
};

function checkEncoding(part: string): void {
  try {
    decodeURIComponent(part);
  } catch (error) {
    throw new FormatError('a "%" in user or password is written %25', { cause: error });
  }
}

/** One address; also with a name: `backupd <backupd@example.com>`. */
export const mailAddress: Format<string> = {
  expected: 'a mail address such as backupd@example.com',
  parse(text) {
    const address = text.trim();
    if (!/^(?:[^<>,\r\n]* )?<?[^\s<>@,]+@[^\s<>@,]+>?$/.test(address)) {
      throw new FormatError();
    }
    return address;
  },
};

export const mailAddresses: Format<readonly string[]> = {
  expected: 'mail addresses, separated by commas',
  parse: (text) => text.split(',').map((address) => mailAddress.parse(address)),
};

/** A key that has no blanks in it. */
export const secretWord: Format<Secret<string>> = {
  expected: 'a key without blanks',
  parse(text) {
    const word = text.trim();
    if (word === '' || /\s/.test(word)) {
      throw new FormatError();
    }
    return secret(word);
  },
};

export const alarmEvents: Format<readonly AlarmEvent[]> = {
  expected: `some of ${ALARM_EVENTS.join(', ')}, separated by commas`,
  parse(text) {
    const words = text.split(',').map((word) => word.trim());
    return words.map((word) => {
      const event = ALARM_EVENTS.find((known) => known === word);
      if (event === undefined) {
        throw new FormatError(word === '' ? '' : `"${word}" is none of them`);
      }
      return event;
    });
  },
};
