import { Readable } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BackupdError } from '../../../../src/core/errors.ts';
import { readToc } from '../../../../src/sources/postgres/toc.ts';
import { anyCuts, cutAt, goldenArchive, streamOf } from '../../../support/archives.ts';
import { having } from '../../../support/matchers.ts';
import { archiveBytes, tableOfContents } from '../../../support/pg-archive.ts';

describe('readToc', () => {
  test('gives the entries and the bytes up to the end of the table of contents', async () => {
    const archive = {
      entries: [
        { dumpId: 3, desc: 'TABLE', tag: 'orders', namespace: 'public', defn: 'CREATE TABLE x;' },
        { dumpId: 7, desc: 'TABLE DATA', hasData: true, dependencies: [3] },
      ],
      blocks: [{ dumpId: 7, chunks: [Buffer.from('1\n')] }],
    };
    const bytes = archiveBytes(archive);
    await fc.assert(
      fc.asyncProperty(anyCuts(), async (cuts) => {
        const toc = await readToc(streamOf(cutAt(bytes, cuts)));
        expect(toc.bytes.equals(tableOfContents(archive))).toBe(true);
        expect(toc.entries).toEqual([
          {
            dumpId: 3,
            hasData: false,
            desc: 'TABLE',
            tag: 'orders',
            namespace: 'public',
            owner: 'app',
            tablespace: '',
            defn: 'CREATE TABLE x;',
          },
          having({ dumpId: 7, hasData: true, defn: '' }),
        ]);
      }),
    );
  });

  test.each(['rich-15', 'rich-17', 'rich-18'])(
    'knows what %s says of its database',
    async (name) => {
      const { entries } = await readToc(streamOf([await goldenArchive(name)]));
      expect(entries).toContainEqual(
        having({ desc: 'COMMENT', defn: "COMMENT ON DATABASE rich IS 'all kinds';\n" }),
      );
      expect(entries).toContainEqual(
        having({ desc: 'ACL', tag: 'SCHEMA "We ird"', owner: 'postgres' }),
      );
      expect(entries).toContainEqual(
        having({ desc: 'TABLE', namespace: 'app', tag: 'users', hasData: false }),
      );
      const withData = entries.filter((entry) => entry.hasData);
      expect(withData.map(({ desc, tag }) => (desc === 'BLOBS' ? desc : tag)).toSorted()).toEqual([
        'BLOBS',
        'Ta.b"le é',
        'cache',
        'empty',
        'events_2026',
        'events_rest',
        'users',
      ]);
    },
  );

  test('reads text in the encoding of the archive', async () => {
    const { entries } = await readToc(streamOf([await goldenArchive('latin1-17')]));
    expect(entries).toContainEqual(
      having({ desc: 'COMMENT', defn: "COMMENT ON DATABASE lat IS 'für alle';\n" }),
    );
    expect(entries).toContainEqual(having({ desc: 'DATABASE', owner: 'Bärbel' }));
  });

  test('reads no further, and ends the stream', async () => {
    const archive = await goldenArchive('rich-17');
    const stream = Readable.from(
      (async function* () {
        yield archive;
        throw await Promise.resolve(new Error('was read further'));
      })(),
      { objectMode: false, highWaterMark: 1 },
    );
    await readToc(stream);
    expect(stream.destroyed).toBe(true);
  });

  test('refuses one that is cut, and tells what a stream fails with', async () => {
    const toc = tableOfContents({ entries: [{ dumpId: 1 }], blocks: [] });
    await expect(readToc(streamOf([toc.subarray(0, -1)]))).rejects.toMatchObject({
      code: 'archive-corrupt',
    });
    const failure = new BackupdError('storage-unavailable', 'gone');
    const failing = new Readable({ read: () => {} });
    failing.destroy(failure);
    await expect(readToc(failing)).rejects.toBe(failure);
  });
});
