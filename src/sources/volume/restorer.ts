import { compareFacts, wereTaken, type Comparison } from '../../core/facts.ts';
import {
  targetOf,
  type Beside,
  type BesideDatabase,
  type Journal,
  type Restorer,
  type RestorePlan,
  type Swapped,
} from '../../core/restorer.ts';
import type { VolumeTarget } from '../../core/target.ts';
import { reach as pass } from '../../core/steps.ts';
import { asVolume } from './as-volume.ts';
import { exchange, type About } from './exchange.ts';
import { refuseInUse } from './in-use.ts';
import { previousOf, readKept } from './kept.ts';
import { loadInto, readFacts } from './load.ts';
import { discardMade, makeIfGone } from './made.ts';
import { keptName, newIn, placeOf } from './places.ts';
import { lookAhead } from './preflight.ts';
import type { Reach } from './reach.ts';
import { resumeRestore } from './resume.ts';
import { isUsed, runScript } from './script.ts';
import { undoRestore } from './undo.ts';
import { targetFor, wantedOf } from './wanted.ts';

/** Once begun a swap comes to an end; this only keeps a dead Docker engine from holding it for ever. */
const SWAP_TIMEOUT_MS = 300_000;

/** Restores volumes: loaded beside in the same file system, compared, swapped by renames of what is at the top. */
export function volumeRestorer(source: string, reach: Reach): Restorer {
  return {
    async preflight(into, plan, signal) {
      return lookAhead(reach, asVolume(into), plan, signal);
    },

    async build(into, plan, journal, signal) {
      const target = targetFor(asVolume(into), plan);
      const { run } = plan;
      await journal.write({ step: 'building', source, engine: 'volume', target, run });
      pass('restore-journaled');
      return buildBeside(reach, target, plan, signal);
    },

    async compare(beside, plan, signal) {
      return compareBeside(reach, beside, plan, signal);
    },

    async swap(beside, plan, journal, signal) {
      signal.throwIfAborted();
      // From here on it comes to an end, whatever is aborted.
      const limit = AbortSignal.timeout(SWAP_TIMEOUT_MS);
      return swapIn(reach, { source, beside, plan }, journal, limit);
    },

    async resume(state, signal) {
      await using mounted = await reach.work(
        asVolume(targetOf(state)),
        { access: 'write' },
        signal,
      );
      return await resumeRestore(mounted, state, signal);
    },

    async previous(at, signal) {
      await using mounted = await reach.look(asVolume(at), signal);
      return await readKept(mounted, source, signal);
    },

    async undo(previous, journal, signal) {
      signal.throwIfAborted();
      const limit = AbortSignal.timeout(SWAP_TIMEOUT_MS);
      const target = asVolume(previous.target);
      await refuseInUse(reach.docker, target, limit);
      await using mounted = await reach.work(target, { access: 'write' }, limit);
      return await undoRestore(mounted, previous, journal, limit);
    },

    async dropPrevious({ target, run }, signal) {
      await using mounted = await reach.work(asVolume(target), { access: 'write' }, signal);
      await runScript(mounted, 'drop', [placeOf(run)], signal);
    },

    async discard({ run, target }, signal) {
      await discardMade(reach, asVolume(target), run, signal);
    },
  };
}

async function buildBeside(
  { docker, work }: Reach,
  target: VolumeTarget,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<Beside> {
  const { run } = plan;
  await makeIfGone(docker, target, run, signal);
  await using mounted = await work(target, { access: 'write' }, signal);
  await runScript(mounted, 'prepare', [placeOf(run)], signal);
  pass('beside-created');
  await loadInto(`${newIn(run)}/files`, mounted, plan, signal);
  await runScript(mounted, 'loaded', [placeOf(run)], signal);
  pass('beside-loaded');
  const database = besideOf(plan, await isUsed(mounted, signal));
  return { run, target, databases: [database], warnings: [], statements: [] };
}

function besideOf(plan: RestorePlan, replaces: boolean): BesideDatabase {
  const { name, restoredAs } = wantedOf(plan);
  const temporary = newIn(plan.run);
  const live = { id: restoredAs, keptAs: keptName(restoredAs, plan.run) };
  return { name, restoredAs, temporary, temporaryId: temporary, live: replaces ? live : null };
}

async function compareBeside(
  { work }: Reach,
  { target, databases }: Beside,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Comparison>> {
  const comparisons = new Map<string, Comparison>();
  for (const { name, temporary } of databases) {
    plan.onProgress({ stage: 'compare', database: name });
    const expected = plan.manifest.facts.databases[name];
    if (expected !== undefined && wereTaken(expected)) {
      await using mounted = await work(asVolume(target), { access: 'write' }, signal);
      const actual = await readFacts(`${temporary}/files`, mounted, signal);
      comparisons.set(name, compareFacts(name, expected, actual));
    }
  }
  return comparisons;
}

interface Swapping {
  readonly source: string;
  readonly beside: Beside;
  readonly plan: RestorePlan;
}

async function swapIn(
  { docker, work }: Reach,
  { source, beside, plan }: Swapping,
  journal: Journal,
  signal: AbortSignal,
): Promise<Swapped> {
  const { run } = beside;
  const { restoredAs: name } = wantedOf(plan);
  const target = asVolume(beside.target);
  await refuseInUse(docker, target, signal);
  plan.onProgress({ stage: 'swap', database: name });
  const { id } = plan.manifest;
  await journal.write({ step: 'swapping', source, engine: 'volume', id, beside });
  pass('swap-journaled');
  await using mounted = await work(target, { access: 'write' }, signal);
  const about: About = { run, source, name, at: new Date().toISOString(), isFilled: true };
  const exchanged = await exchange(mounted, { about, incoming: newIn(run) }, signal);
  return { previous: previousOf(about, exchanged, target), warnings: [] };
}
