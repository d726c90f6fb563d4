import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  hideCredentials,
  parseSources,
  type DeclaredSource,
} from '../../../src/config/sources-url.ts';
import { containing } from './matchers.ts';

describe('parseSources', () => {
  it('reads sources separated by any white space', () => {
    const text = '\n  orders=postgres://orders-db/shop,billing\t wiki=postgres://wiki_db_1\n';
    expect(parseSources(text, 'BACKUPD_SOURCES')).toEqual({
      sources: [
        {
          name: 'orders',
          engine: 'postgres',
          target: 'orders-db',
          databases: ['shop', 'billing'],
        },
        { name: 'wiki', engine: 'postgres', target: 'wiki_db_1', databases: null },
      ],
      problems: [],
    });
  });

  it('decodes percent-encoded parts after it split them', () => {
    const [source] = parseSources('db=postgres://db/a%2Cb,c%20d,%C3%BC,e%2Ff', 'X').sources;
    expect(source?.databases).toEqual(['a,b', 'c d', 'ü', 'e/f']);
  });

  it('takes a slash without databases for all of them', () => {
    expect(parseSources('db=postgres://db/', 'X').sources[0]?.databases).toBeNull();
  });

  it('reads nothing from nothing', () => {
    expect(parseSources(' \n', 'X')).toEqual({ sources: [], problems: [] });
  });

  it.each([
    ['data=volume://', 'data', '"" can be no name of a volume'],
    ['data=volume:///', 'data', 'the whole host is too much'],
    ['data=volume:///srv/..', 'data', 'the whole host is too much'],
    ['data=volume://data/sub', 'data', 'a volume is backed up whole'],
    ['data=volume://.data', 'data', '".data" can be no name of a volume'],
    ['db=postgresql://db', 'db', 'perhaps postgres was meant'],
    ['db=postgres:/db', 'db', 'expected name=engine://container'],
    ['db=postgres://', 'db', 'can be no name of a container'],
    ['db=postgres://db:5432', 'db', '"db:5432" can be no name of a container'],
    ['db=postgres://db/a,,b', 'db', 'empty name of a database'],
    ['db=postgres://db/a/b', 'db', 'are percent-encoded'],
    ['db=postgres://db/a?sslmode=off', 'db', 'are percent-encoded'],
    ['db=postgres://db/100%', 'db', 'itself it is %25'],
    ['db', null, '"db" is not valid'],
    ['postgres://db', null, '"postgres://db" is not valid'],
    ['=postgres://db', null, '"" is no name of a source'],
    ['DB=postgres://db', null, '"DB" is no name of a source'],
  ])('tells what is wrong with %s', (text, source, message) => {
    const read = parseSources(text, 'BACKUPD_SOURCES_FILE');
    expect(read.sources).toEqual([]);
    expect(read.problems).toEqual([
      expect.objectContaining({
        source,
        option: 'BACKUPD_SOURCES_FILE',
        message: containing(message),
        severity: source === null ? 'fatal' : 'source',
      }),
    ]);
  });

  it('keeps the others when one is wrong', () => {
    const read = parseSources('a=oracle://a b=postgres://b', 'X');
    expect(read.sources.map(({ name }) => name)).toEqual(['b']);
    expect(read.problems.map(({ source }) => source)).toEqual(['a']);
  });

  it.each([
    'db=postgres://admin:s3cret@db/shop',
    'postgres://admin:s3cret@db/shop',
    'db=postgres://admin:s3=cr@et@db',
    's3cret@x=postgres://db',
  ])('never shows a password: %s', (text) => {
    const [problem] = parseSources(text, 'X').problems;
    expect(problem?.message).toContain('users and passwords do not belong here');
    expect(JSON.stringify(problem)).not.toMatch(/s3|cret/);
    expect(hideCredentials(`a=postgres://a ${text}`)).not.toMatch(/s3|cret/);
    expect(hideCredentials(`a=postgres://a ${text}`)).toContain('a=postgres://a ');
  });

  it('reads back every source that can be written', () => {
    const source: fc.Arbitrary<DeclaredSource> = fc.record({
      name: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/),
      engine: fc.constant('postgres' as const),
      target: fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,30}$/),
      databases: fc.option(
        // What a JavaScript string can hold but UTF-8 cannot is no name; "@" is written %40 as all else is.
        fc.array(fc.string({ unit: 'binary', minLength: 1 }), { minLength: 1, maxLength: 4 }),
        { nil: null },
      ),
    });
    fc.assert(
      fc.property(fc.array(source, { maxLength: 3 }), (sources) => {
        const text = sources.map((one) => write(one)).join('\n');
        expect(parseSources(text, 'X')).toEqual({ sources, problems: [] });
      }),
    );
  });
});

function write({ name, engine, target, databases }: DeclaredSource): string {
  const path = databases === null ? '' : `/${databases.map(encodeURIComponent).join(',')}`;
  return `${name}=${engine}://${encodeURIComponent(target)}${path}`;
}
