import { toFailure, type Failure } from '../core/errors.ts';
import type { BackupId } from '../core/layout.ts';
import { readPartialCopies } from '../store/partial-copies.ts';
import type { AtDestination } from './at-destination.ts';
import { applyLifecycle, noteVanished, tagCopies, wantedLifecycle } from './copy-lifecycle.ts';
import { decideAll, type Decision, type RemotePrune } from './decide-remote.ts';
import { checkOwner } from './owner.ts';
import {
  attemptPrune,
  mergeResults,
  NOTHING_PRUNED,
  type PruneResult,
  type PruneVerdict,
} from './prune-result.ts';
import { removeCopy, type CopyRemoval } from './remove-copy.ts';

/**
 * Applies retention at a destination: removes what no rule keeps, oldest first, and what an earlier life left half
 * removed; or, where the store is to delete it by its own rule, tags it for that. Then the rules there are made what is
 * configured. The caller holds the destination's lock. What fails for one source is told and stops no other.
 * @throws BackupdError `locked` where the namespace is not ours, and what `decideRemote` throws
 */
export async function pruneRemote(
  prune: RemotePrune,
  at: AtDestination,
  signal: AbortSignal,
): Promise<PruneResult> {
  await checkOwner(at, signal);
  await finishRemovals(at, signal);
  const results: PruneResult[] = [];
  const decisions = await decideAll(prune, at, signal);
  await noteVanished(
    prune.source,
    decisions.flatMap(({ entries }) => entries),
    at,
  );
  for (const decision of decisions) {
    signal.throwIfAborted();
    for (const held of decision.result.held) {
      at.context.emit({ type: 'prune-held', ...held });
    }
    const where = at.destination.name;
    const tagged = await attemptPrune({ source: null, where }, signal, () =>
      tagSource(decision, prune, at, signal),
    );
    const removed =
      decision.result.held.length > 0 || isExpiring(prune)
        ? decision.result
        : await removeAll(decision, at, signal);
    results.push(removed, tagged);
    const failures = [...removed.failures, ...tagged.failures];
    if (failures.some(({ failure }) => isOfDestination(failure))) {
      // The others would only fail with it, too.
      break;
    }
  }
  return mergeResults([...results, await applyRules(prune, results, { at, signal })]);
}

/** Whether the store deletes, and not we. */
function isExpiring({ settings }: RemotePrune): boolean {
  return (wantedLifecycle(settings)?.expireDays ?? null) !== null;
}

/** Tags what the rules of the store are to find: what is kept first, which must not be deleted. */
async function tagSource(
  { entries, result }: Decision,
  prune: RemotePrune,
  at: AtDestination,
  signal: AbortSignal,
): Promise<PruneResult> {
  const wanted = wantedLifecycle(prune.settings);
  if (wanted === null) {
    return NOTHING_PRUNED;
  }
  const keepById = new Map(result.backups.map(({ id, keep }) => [id, keep]));
  const kept = entries.filter(({ manifest }) => keepById.get(manifest.id) === true);
  const tag = wanted.moves.length > 0 ? 'archive' : 'none';
  await tagCopies(
    kept.map((entry) => ({ entry, tag })),
    at,
    signal,
  );
  if (wanted.expireDays !== null && result.held.length === 0) {
    const given = entries.filter(({ manifest }) => keepById.get(manifest.id) === false);
    await tagCopies(
      given.map((entry) => ({ entry, tag: 'expire' })),
      at,
      signal,
    );
  }
  return NOTHING_PRUNED;
}

/** Not before all copies have the tags that are right: what an earlier life gave up may be kept now. */
async function applyRules(
  { settings, source }: RemotePrune,
  results: readonly PruneResult[],
  { at, signal }: { readonly at: AtDestination; readonly signal: AbortSignal },
): Promise<PruneResult> {
  if (source !== null || results.some(({ failures }) => failures.length > 0)) {
    return NOTHING_PRUNED;
  }
  return attemptPrune({ source: null, where: settings.name }, signal, async () => {
    await applyLifecycle(settings, at, signal);
    return NOTHING_PRUNED;
  });
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
