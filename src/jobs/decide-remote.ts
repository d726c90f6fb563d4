import { isMirrored, lastCopy } from '../core/copies.ts';
import { isPinned, type CatalogEntry } from '../core/catalog-entry.ts';
import { MANIFEST_FILE, type BackupId } from '../core/layout.ts';
import { decideRetention, isMassRemoval, toCandidate, type Candidate } from '../core/retention.ts';
import { lookAtRemote, type RemoteEntry } from '../store/remote-catalog.ts';
import type { AtDestination } from './at-destination.ts';
import type { ConfiguredDestination } from './context.ts';
import { deletedFrom, findGivenUp, wantedLifecycle } from './copy-lifecycle.ts';
import { attemptPrune, mergeResults, type PruneResult } from './prune-result.ts';
import type { RuleBook } from './retention-rules.ts';

export interface RemotePrune {
  readonly settings: ConfiguredDestination['settings'];
  readonly rules: RuleBook;
  /** Null: all sources of which there is anything. */
  readonly source: string | null;
  /** Goes on where most of a source's backups there would be removed. */
  readonly yes: boolean;
}

/** What a destination has of one source, and what retention says of it. */
export interface Decision {
  readonly source: string;
  readonly entries: readonly RemoteEntry[];
  readonly result: PruneResult;
}

/**
 * What retention says of the backups at a destination; removes nothing.
 * @throws BackupdError `destination-unavailable`, `destination-denied`, `storage-unavailable`
 */
export async function decideRemote(
  prune: RemotePrune,
  at: AtDestination,
  signal: AbortSignal,
): Promise<PruneResult> {
  return mergeResults((await decideAll(prune, at, signal)).map(({ result }) => result));
}

/** The same, source by source. */
export async function decideAll(
  prune: RemotePrune,
  at: AtDestination,
  signal: AbortSignal,
): Promise<readonly Decision[]> {
  const { context, destination } = at;
  const { dir, namespace } = context.storage;
  const look = await lookAtRemote(
    { destination, namespace, source: prune.source, dir, view: 'recoverable' },
    signal,
  );
  const decisions: Decision[] = [];
  for (const source of look.sources) {
    const entries = look.entries.filter(
      (entry) => entry.manifest.source === source && isThere(entry),
    );
    const result = await attemptPrune({ source, where: destination.name }, signal, () =>
      decideSource({ source, entries }, prune, at, signal),
    );
    decisions.push({ source, entries, result });
  }
  return decisions;
}

/** One that somebody hid behind a delete marker can be recovered, and is nobody's to remove by itself. */
function isThere({ objects }: RemoteEntry): boolean {
  return objects.get(MANIFEST_FILE)?.[0]?.isDeleteMarker === false;
}

async function decideSource(
  { source, entries }: Pick<Decision, 'source' | 'entries'>,
  prune: RemotePrune,
  at: AtDestination,
  signal: AbortSignal,
): Promise<PruneResult> {
  const { settings, rules, yes } = prune;
  const { context, destination } = at;
  const where = destination.name;
  const own = rules.lookUpStrictly(source);
  const nowMs = Date.now();
  const here = new Map(
    (await context.catalog.entries(source)).map((entry) => [entry.manifest.id, entry]),
  );
  const candidates = entries.map((entry) =>
    asCandidate(entry, { here: here.get(entry.manifest.id) ?? null, where, nowMs }),
  );
  const verdicts = decideRetention(candidates, settings.keep ?? own.keep, own.timezone);
  const unkept = new Set(verdicts.filter(({ keep }) => !keep).map(({ id }) => id));
  const leaving = entries.filter(({ manifest }) => unkept.has(manifest.id));
  const expireDays = wantedLifecycle(settings)?.expireDays ?? null;
  // What was given up before is decided, though it is there yet.
  const before = expireDays === null ? NONE : await findGivenUp(leaving, at, signal);
  const fresh = verdicts.filter(({ id }) => !before.has(id));
  const count = fresh.filter(({ keep }) => !keep).length;
  const ends = new Map(
    leaving.map((entry) => [entry.manifest.id, describeDeletion(entry, expireDays)]),
  );
  return {
    backups: verdicts.map(({ id, keep, reasons }) => ({
      id,
      source,
      where,
      keep,
      reasons: [...reasons, ...(ends.get(id) ?? [])],
      removed: false,
    })),
    held: isMassRemoval(fresh) && !yes ? [{ source, where, count }] : [],
    failures: [],
  };
}

const NONE: ReadonlySet<BackupId> = new Set();

function describeDeletion(entry: RemoteEntry, expireDays: number | null): readonly string[] {
  return expireDays === null
    ? []
    : [`the store deletes it from ${deletedFrom(entry, expireDays)} on`];
}

/**
 * A copy that is not whole there, or is known to be lost, holds no place of one that is. Where the backup is here too,
 * what was learnt of it here comes first: a pin may not be mirrored yet.
 */
function asCandidate(
  entry: RemoteEntry,
  {
    here,
    where,
    nowMs,
  }: { readonly here: CatalogEntry | null; readonly where: string; readonly nowMs: number },
): Candidate {
  const known = here?.receipts.filter((receipt) => isMirrored(receipt)) ?? entry.receipts;
  const candidate = toCandidate({ manifest: entry.manifest, receipts: known }, nowMs);
  const isLost = here !== null && lastCopy(here, where)?.type === 'lost';
  const flaw = entry.flaw !== null ? 'incomplete' : isLost ? 'lost' : null;
  const pinned = isPinned({ receipts: known });
  return flaw === null ? candidate : { ...candidate, pinned, good: false, flaw };
}
