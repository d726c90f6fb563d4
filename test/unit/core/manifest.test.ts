import { describe, expect, it } from 'vitest';
import { parseManifest, type Manifest } from '../../../src/core/manifest.ts';
import { isDamaged, verifiedAt, type Receipt } from '../../../src/core/catalog-entry.ts';
import { backupId, SAMPLE_ARCHIVE, sampleManifest } from '../../support/storage.ts';

const whole = sampleManifest({ id: backupId(1) });

function parse(change: Readonly<Record<string, unknown>>): Manifest {
  return parseManifest(JSON.stringify({ ...whole, ...change }), '/backups/db/x');
}

describe('parseManifest', () => {
  it('takes what a backup wrote, and what later versions add', () => {
    expect(parse({})).toEqual(whole);
    expect(parse({ added: 1 })).toMatchObject(whole);
  });

  it.each([
    ['files', 5],
    ['files', {}],
    ['files', null],
    ['files', [null]],
    ['files', [{ ...SAMPLE_ARCHIVE, name: '../x' }]],
    ['databases', null],
    ['databases', ['shop', 'crm']],
    ['startedAt', 'yesterday'],
  ])('refuses one whose %s is %j', (field, value) => {
    expect(() => parse({ [field]: value })).toThrow(
      expect.objectContaining({
        code: 'archive-corrupt',
        message: `manifest of /backups/db/x has no valid "${field}"`,
      }) as Error,
    );
  });

  it('takes files that are of no database, for any number of databases', () => {
    const files = [{ ...SAMPLE_ARCHIVE, database: null }];
    expect(parse({ files, databases: ['a', 'b'] }).databases).toEqual(['a', 'b']);
  });
});

describe('what receipts say', () => {
  type Depth = 'stored' | 'content';
  function at(hour: number): string {
    return `2026-11-28T0${hour}:00:00.000Z`;
  }
  function damaged(hour: number, depth?: Depth): Receipt {
    const receipt = { type: 'damaged', at: at(hour), message: 'cut' } as const;
    return depth === undefined ? receipt : { ...receipt, depth };
  }
  function verified(hour: number, depth: Depth): Receipt {
    return { type: 'verified', at: at(hour), depth };
  }

  it.each<[string, readonly Receipt[], boolean, string | null]>([
    ['nothing', [], false, null],
    ['whole', [damaged(1, 'content'), verified(2, 'content')], false, at(2)],
    ['damaged since', [verified(1, 'content'), damaged(2, 'stored')], true, null],
    ['whole, by a copy', [damaged(1, 'stored'), verified(2, 'stored')], false, at(2)],
    ['whole, as far as was known', [damaged(1), verified(2, 'stored')], false, at(2)],
    [
      'damaged where only the key shows it',
      [damaged(1, 'content'), verified(2, 'stored')],
      true,
      null,
    ],
    [
      'whole with the key, and without it since',
      [damaged(1, 'content'), verified(2, 'content'), verified(3, 'stored')],
      false,
      at(3),
    ],
  ])('%s', (_, receipts, isIt, since) => {
    const entry = { manifest: whole, receipts };
    expect([isDamaged(entry), verifiedAt(entry)]).toEqual([isIt, since]);
  });
});
