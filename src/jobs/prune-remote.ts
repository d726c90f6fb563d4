import { isMirrored, lastCopy } from '../core/copies.ts';
import { toFailure, type Failure } from '../core/errors.ts';
import { MANIFEST_FILE, type BackupId } from '../core/layout.ts';
import { isPinned, type CatalogEntry } from '../core/catalog-entry.ts';
import {
  decideRetention,
  isMassRemoval,
  toCandidate,
  type Candidate,
  type Verdict,
} from '../core/retention.ts';
import { readPartialCopies } from '../store/partial-copies.ts';
import { lookAtRemote, type RemoteEntry } from '../store/remote-catalog.ts';
import type { AtDestination } from './at-destination.ts';
import type { ConfiguredDestination } from './context.ts';
import { checkOwner } from './owner.ts';
import { attemptPrune, mergeResults, type PruneResult, type PruneVerdict } from './prune-result.ts';
import { removeCopy, type CopyRemoval } from './remove-copy.ts';
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
interface Decision {
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

/**
 * Applies retention at a destination: removes what no rule keeps, oldest first, and what an earlier life left half
 * removed. The caller holds the destination's lock. What fails for one source is told and stops no other.
 * @throws BackupdError `locked` where the namespace is not ours, and what {@link decideRemote} throws
 */
export async function pruneRemote(
  prune: RemotePrune,
  at: AtDestination,
  signal: AbortSignal,
): Promise<PruneResult> {
  await checkOwner(at, signal);
  await finishRemovals(at, signal);
  const results: PruneResult[] = [];
  for (const decision of await decideAll(prune, at, signal)) {
    signal.throwIfAborted();
    const { result } = decision;
    const [held] = result.held;
    if (held === undefined) {
      results.push(await removeAll(decision, at, signal));
    } else {
      at.context.emit({ type: 'prune-held', ...held });
      results.push(result);
    }
    if (results.at(-1)?.failures.some(({ failure }) => isOfDestination(failure)) === true) {
      // The others would only fail with it, too.
      break;
    }
  }
  return mergeResults(results);
}

function isOfDestination({ code }: Failure): boolean {
  return code === 'destination-unavailable' || code === 'destination-denied' || code === 'locked';
}

async function finishRemovals(at: AtDestination, signal: AbortSignal): Promise<void> {
  const { context, destination } = at;
  for (const copy of await readPartialCopies(context.storage.dir, destination.name)) {
    if (copy.step === 'removing') {
      tell(copy, await removeCopy(copy, at, signal), at);
    }
  }
}

function tell(
  { source, id }: { readonly source: string; readonly id: BackupId },
  removal: CopyRemoval,
  { context, destination }: AtDestination,
): void {
  if (removal.outcome === 'removed') {
    context.emit({ type: 'backup-removed', source, where: destination.name, id });
  }
}

async function decideAll(
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
      decideSource(source, entries, prune, at),
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
  source: string,
  entries: readonly RemoteEntry[],
  { settings, rules, yes }: RemotePrune,
  { context, destination }: AtDestination,
): Promise<PruneResult> {
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
  const count = verdicts.filter(({ keep }) => !keep).length;
  return {
    backups: verdicts.map((verdict) => toRemoteVerdict(verdict, { source, where })),
    held: isMassRemoval(verdicts) && !yes ? [{ source, where, count }] : [],
    failures: [],
  };
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

function toRemoteVerdict(
  { id, keep, reasons }: Verdict,
  at: { readonly source: string; readonly where: string },
): PruneVerdict {
  return { id, ...at, keep, reasons, removed: false };
}

/** Oldest first, so that what an interruption leaves is what retention would rather have. */
async function removeAll(
  { source, entries, result }: Decision,
  at: AtDestination,
  signal: AbortSignal,
): Promise<PruneResult> {
  const byId = new Map(entries.map((entry) => [entry.manifest.id, entry]));
  const verdicts = new Map(result.backups.map((verdict) => [verdict.id, verdict]));
  const failures = [...result.failures];
  try {
    for (const verdict of result.backups.filter(({ keep }) => !keep).toReversed()) {
      signal.throwIfAborted();
      await checkOwner(at, signal);
      const files = byId.get(verdict.id)?.manifest.files.map(({ name }) => name) ?? [];
      const removal = await removeCopy({ source, id: verdict.id, files }, at, signal);
      verdicts.set(verdict.id, settle(verdict, removal));
      tell({ source, id: verdict.id }, removal, at);
    }
  } catch (error) {
    signal.throwIfAborted();
    failures.push({ source, where: at.destination.name, failure: toFailure(error) });
  }
  return { backups: [...verdicts.values()], held: [], failures };
}

/** Locked: it is kept by the place and not by a rule. */
function settle(verdict: PruneVerdict, removal: CopyRemoval): PruneVerdict {
  const isRemoved = removal.outcome === 'removed';
  const lock = isRemoved ? removal.left : removal.lock;
  const why = lock === null ? [] : [`${lock.name} is locked ${describeEnd(lock.until)}`];
  return { ...verdict, removed: isRemoved, reasons: [...verdict.reasons, ...why] };
}

function describeEnd(until: string | null): string {
  return until === null ? 'for good' : `until ${until}`;
}
