import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { pinBackup } from '../../../src/jobs/pin.ts';
import { prune } from '../../../src/jobs/prune.ts';
import { copiesStage } from '../../support/upload-stage.ts';
import { backupId } from '../../support/storage.ts';
import { policy } from '../core/retention-samples.ts';

const never = new AbortController().signal;
const PRUNE = { source: null, dryRun: false, yes: false, waitMs: 0 };

test('whatever is sent and pruned in whatever order: nothing kept is lost, nothing is sent twice', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('backup', 'upload', 'prune', 'pin', 'lose'), {
        minLength: 5,
        maxLength: 14,
      }),
      fc.record({ last: fc.integer({ min: 0, max: 3 }), daily: fc.integer({ min: 0, max: 2 }) }),
      async (steps, rules) => {
        await using stage = await copiesStage({ settings: { keep: policy(rules) } });
        const pinned = new Set<string>();
        let hour = 0;
        for (const step of [...steps, 'backup', 'upload', 'upload']) {
          const [newest] = await stage.catalog.entries('db');
          if (step === 'backup') {
            hour += 5;
            await stage.add(hour);
          } else if (step === 'upload') {
            await stage.upload();
          } else if (step === 'prune') {
            await prune(PRUNE, stage.app, never);
          } else if (step === 'pin' && newest !== undefined) {
            await pinBackup({ id: newest.manifest.id, waitMs: 0 }, stage.app, never);
            pinned.add(newest.manifest.id);
          } else if (step === 'lose' && newest !== undefined) {
            stage.place.lose(`demo/db/${newest.manifest.id}/shop.dump.zst`);
          }
        }
        const there = stage.place
          .keys()
          .flatMap((key) => (key.endsWith('/manifest.json') ? (key.split('/')[2] ?? []) : []));
        // The newest backup and every pinned one have a whole copy, and nothing is pending.
        expect(there).toContain(backupId(hour));
        expect(there).toEqual(expect.arrayContaining([...pinned]));
        const sentBytes = stage.place.sentBytes;
        expect((await stage.upload()).sendings).toEqual([]);
        expect(stage.place.sentBytes).toBe(sentBytes);
        expect((await prune(PRUNE, stage.app, never)).failures).toEqual([]);
      },
    ),
    { numRuns: 8 },
  );
}, 60_000);
