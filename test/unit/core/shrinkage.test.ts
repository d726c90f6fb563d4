import { describe, expect, it } from 'vitest';
import type { DatabaseFacts } from '../../../src/core/facts.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import {
  findEmptiedVolume,
  findMissingDatabases,
  findShrinkage,
} from '../../../src/core/shrinkage.ts';
import { backupId, SAMPLE_ARCHIVE, sampleManifest } from '../../support/storage.ts';

const EMPTY: DatabaseFacts = {
  sizeBytes: 8_000_000,
  tables: {},
  sequences: {},
  objects: { views: 0 },
};
const FILLED: DatabaseFacts = {
  ...EMPTY,
  tables: { 'public.orders': { rows: 3, exact: true }, 'public.items': { rows: 0, exact: true } },
};
/** As with `BACKUPD_FACTS=off`. */
const UNKNOWN: DatabaseFacts = { ...EMPTY, objects: {} };

function backup(databases: Readonly<Record<string, DatabaseFacts>>, dumpBytes = 100): Manifest {
  return sampleManifest({
    id: backupId(1),
    databases: Object.keys(databases),
    facts: { serverVersion: '17.5', databases },
    files: [{ ...SAMPLE_ARCHIVE, dumpBytes }],
  });
}

describe('findShrinkage', () => {
  it.each([
    ['nothing changed', backup({ shop: FILLED }), backup({ shop: FILLED })],
    ['it never had tables', backup({ shop: EMPTY }), backup({ shop: EMPTY })],
    ['nobody looked this time', backup({ shop: FILLED }), backup({ shop: UNKNOWN })],
    ['nobody looked last time', backup({ shop: UNKNOWN }), backup({ shop: EMPTY })],
    ['one of several databases went', backup({ a: FILLED, b: FILLED }), backup({ a: FILLED })],
    ['it is a tenth', backup({ a: FILLED }, 200_000), backup({ a: FILLED }, 20_000)],
    ['it is small', backup({ a: FILLED }, 100_000), backup({ a: FILLED }, 1)],
  ])('finds none where %s', (_case, last, current) => {
    expect(findShrinkage(last, current)).toEqual([]);
  });

  it.each([
    [
      'a database was emptied beside others',
      backup({ a: FILLED, b: FILLED }),
      backup({ a: FILLED, b: EMPTY }),
      'database "b" had 2 tables and has none now',
    ],
    [
      'the server begins anew, with no database but its own',
      backup({ postgres: EMPTY, shop: FILLED }),
      backup({ postgres: EMPTY }),
      'the server had 2 tables in its databases and has none now',
    ],
    [
      'there is no database at all any more',
      backup({ shop: FILLED }),
      backup({}),
      'the server had 2 tables in its databases and has none now',
    ],
  ])('finds it where %s', (_case, last, current, message) => {
    expect(findShrinkage(last, current)).toEqual([{ code: 'tables-vanished', message }]);
  });

  it('finds a dump of less than a tenth', () => {
    const [last, current] = [backup({ a: FILLED }, 100_001), backup({ a: FILLED }, 10_000)];
    expect(findShrinkage(last, current)).toEqual([
      { code: 'shrunk', message: 'the dump has 10000 bytes, the last good one had 100001' },
    ]);
  });
});

describe('findMissingDatabases', () => {
  it('names those of the last backup that are not in this one', () => {
    const [last, current] = [backup({ a: FILLED, b: EMPTY }), backup({ a: FILLED, c: FILLED })];
    expect(findMissingDatabases(last, current)).toEqual([
      {
        code: 'database-missing',
        message: 'database "b" was in the last good backup and is not in this one',
      },
    ]);
  });
});

describe('findEmptiedVolume', () => {
  function volume(entries: number | null): Manifest {
    const objects: Record<string, number> = entries === null ? {} : { entries };
    return { ...backup({ data: { ...EMPTY, objects } }), engine: 'volume' };
  }

  it('finds one that is empty and was not', () => {
    expect(findEmptiedVolume(volume(3), volume(0))).toContain('had 3 files');
  });

  it.each([
    ['it never had anything', volume(0), volume(0)],
    ['it has something', volume(3), volume(1)],
    ['nobody looked', volume(3), volume(null)],
    ['it is no volume', backup({ shop: FILLED }), backup({ shop: EMPTY })],
  ])('finds none where %s', (_case, last, current) => {
    expect(findEmptiedVolume(last, current)).toBeNull();
  });
});
