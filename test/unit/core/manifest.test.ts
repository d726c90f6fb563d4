import { describe, expect, it } from 'vitest';
import { parseManifest, type Manifest } from '../../../src/core/manifest.ts';
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
