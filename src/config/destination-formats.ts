import { X509Certificate } from 'node:crypto';
import type { Lifecycle, ObjectLock } from '../core/destination-settings.ts';
import { isSourceName } from '../core/layout.ts';
import { FormatError, plainName, type Format } from './formats.ts';

/** Names of destinations; blanks, line ends and commas are between them. */
export const destinationNames: Format<readonly string[]> = {
  expected: `names separated by commas or blanks, each ${plainName.expected}`,
  parse(text) {
    const names = text.split(/[\s,]+/).filter((name) => name !== '');
    const wrong = names.find((name) => !isSourceName(name));
    if (names.length === 0 || wrong !== undefined) {
      throw new FormatError(wrong === undefined ? '' : `"${wrong}" is no name`);
    }
    return [...new Set(names)];
  },
};

export const regionName: Format<string> = {
  expected: 'the name of a region such as eu-central-1',
  parse(text) {
    const name = text.trim();
    if (!/^[a-zA-Z0-9-]+$/.test(name)) {
      throw new FormatError();
    }
    return name;
  },
};

export const regionList: Format<readonly string[]> = {
  expected: 'names of regions such as eu-central-1, separated by commas',
  parse(text) {
    return text.split(',').map((name) => {
      try {
        return regionName.parse(name);
      } catch (error) {
        throw new FormatError(`"${name.trim()}" is no name of a region`, { cause: error });
      }
    });
  },
};

/** Without a slash at its end: `https://minio.example.com:9000`. */
export const endpoint: Format<string> = {
  expected: 'an address such as https://minio.example.com:9000, or http:// for one without TLS',
  parse(text) {
    const url = URL.parse(text.trim());
    if (url === null || !['http:', 'https:'].includes(url.protocol)) {
      throw new FormatError();
    }
    if (url.username !== '' || url.password !== '') {
      throw new FormatError('keys do not belong into it');
    }
    if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
      throw new FormatError('nothing follows host and port; the bucket is an option of its own');
    }
    return url.origin;
  },
};

/** As S3 has them, and other stores in essence. */
export const bucketName: Format<string> = {
  expected: 'the name of a bucket: 3 to 63 characters of a-z, 0-9, ".", "_" and "-"',
  parse(text) {
    const name = text.trim();
    if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/.test(name)) {
      throw new FormatError(name.includes('/') ? 'what stands before keys is the prefix' : '');
    }
    return name;
  },
};

/** What stands before keys, without slashes at its ends. */
export const keyPrefix: Format<string> = {
  expected: 'a beginning of keys such as backups or team/backups',
  parse(text) {
    const prefix = text.trim().replace(/\/$/, '');
    if (prefix.split('/').some((part) => part === '' || part === '.' || part === '..')) {
      throw new FormatError('it has an empty part, "." or ".." in it');
    }
    return prefix;
  },
};

export const storageClass: Format<string> = {
  expected: 'a storage class as the store calls it, such as STANDARD, STANDARD_IA or GLACIER_IR',
  parse(text) {
    const name = text.trim();
    if (!/^[A-Z][A-Z0-9_]*$/.test(name)) {
      throw new FormatError();
    }
    return name;
  },
};

const RATE_UNITS = {
  kB: 1000,
  KB: 1000,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
} as const;
/** Below it a store takes a connection for dead. */
const SLOWEST_RATE_BYTES = 10_000;

/** Bytes per second. */
export const rate: Format<number> = {
  expected: 'bytes per second such as 500KB, 5MB or 2MiB, at least 10KB',
  parse(text) {
    const [, amount, unit] =
      /^(\d+(?:\.\d+)?)\s*([kK]B|MB|GB|[KMG]iB)(?:\/s)?$/.exec(text.trim()) ?? [];
    const bytes = Number(amount ?? 0) * RATE_UNITS[(unit ?? 'kB') as keyof typeof RATE_UNITS];
    if (bytes < SLOWEST_RATE_BYTES) {
      throw new FormatError();
    }
    return Math.round(bytes);
  },
};

/** One or more certificates. */
export const certificates: Format<string> = {
  expected: 'certificates in PEM, each from BEGIN CERTIFICATE to END CERTIFICATE',
  parse(text) {
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0) {
      throw new FormatError('there is none in it');
    }
    for (const [index, block] of blocks.entries()) {
      checkCertificate(block, index + 1);
    }
    return `${blocks.join('\n')}\n`;
  },
};

function checkCertificate(block: string, number: number): void {
  try {
    // Read for what it throws.
    void new X509Certificate(block);
  } catch (error) {
    throw new FormatError(`number ${number} cannot be read`, { cause: error });
  }
}

const DAYS = /^([1-9]\d{0,4})d$/;

/** `governance:30d`, `compliance:30d`. */
export const objectLock: Format<ObjectLock> = {
  expected: 'governance:DAYS or compliance:DAYS, such as governance:30d',
  parse(text) {
    const [mode, days = ''] = text.trim().split(':');
    const [, number] = DAYS.exec(days) ?? [];
    if ((mode !== 'governance' && mode !== 'compliance') || number === undefined) {
      throw new FormatError();
    }
    return { mode: mode === 'governance' ? 'GOVERNANCE' : 'COMPLIANCE', days: Number(number) };
  },
};

/** Names for classes that would not be guessed. */
const CLASS_BY_WORD: ReadonlyMap<string, string> = new Map([
  ['glacier', 'GLACIER'],
  ['deep-archive', 'DEEP_ARCHIVE'],
]);
const CLASS_NAME = /^[A-Z][A-Z0-9_-]*$/;
const EXPIRE = 'expire';

/** `glacier:30d,expire:90d`, or one of them; also `deep-archive:180d`, and classes and tiers of other stores. */
export const lifecycle: Format<Lifecycle> = {
  expected:
    'WHAT:DAYS separated by commas, where WHAT is glacier, deep-archive, another class as the store calls it, or expire, such as glacier:30d,expire:90d',
  parse(text) {
    const days = new Map<string, number>();
    for (const part of text.split(',')) {
      const [what, number] = readLifecyclePart(part.trim());
      if (days.has(what)) {
        throw new FormatError(`${what} is there twice`);
      }
      days.set(what, number);
    }
    const moves = [...days]
      .filter(([what]) => what !== EXPIRE)
      .map(([storageClass, days]) => ({ storageClass, days }))
      .toSorted((one, other) => one.days - other.days);
    if (new Set(moves.map(({ days }) => days)).size < moves.length) {
      throw new FormatError('two classes have the same day');
    }
    return { moves, expireDays: days.get(EXPIRE) ?? null };
  },
};

function readLifecyclePart(part: string): readonly [string, number] {
  const [word = '', days = ''] = part.split(':');
  const [, number] = DAYS.exec(days) ?? [];
  const what = CLASS_BY_WORD.get(word) ?? word;
  if ((what !== EXPIRE && !CLASS_NAME.test(what)) || number === undefined) {
    throw new FormatError();
  }
  return [what, Number(number)];
}
