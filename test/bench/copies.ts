import { countRequests, pagesOf, putCopies } from '../support/many-copies.ts';
import { openStore } from '../support/off-site-stage.ts';
import { checkLimit, type Measured } from './findings.ts';
import type { Course } from './rounds.ts';

const WIDTH = 32;

/** What is asked of a store that holds many copies, by a host that has never seen them, and by the same host again. */
export async function measureCopies({ scales, say }: Course): Promise<Measured> {
  const copies = 10_000 * scales.large;
  say(`copies: making ${copies}`);
  await using store = await openStore();
  await using stage = await store.stage();
  await putCopies(stage, copies);
  const listed = await countRequests(stage, ['list', '--from', 's3']);
  const decided = await countRequests(stage, ['prune', '--dry-run']);
  for (const { printed } of [listed, decided]) {
    if (printed.length !== copies) {
      throw new Error(`${printed.length} copies were found, and not ${copies}`);
    }
  }
  const pages = { 'list --from': listed.pages, 'prune --dry-run': decided.pages };
  const lists = { parts: pages, unit: 'requests' };
  return {
    findings: [
      checkLimit(`${copies} copies: lists`, lists, pagesOf(copies)),
      checkLimit(
        `${copies} copies: manifests, first look`,
        { parts: { 'list --from': listed.fetched.length }, unit: 'requests' },
        copies,
      ),
      checkLimit(
        `${copies} copies: manifests, from then on`,
        { parts: { 'prune --dry-run': decided.fetched.length }, unit: 'requests' },
        0,
      ),
      checkLimit(
        `${copies} copies: manifests at once`,
        { parts: { 'list --from': listed.atOnce }, unit: 'requests' },
        WIDTH,
      ),
    ],
    notes: [
      `- Copies: ${copies} in one bucket of MinIO, an archive and a manifest each, as a host with nothing sees them first and once more. Counted by a proxy; how long it takes
  is a matter of the network. MinIO says of a full page that it goes on, also of the last one.`,
    ],
  };
}
