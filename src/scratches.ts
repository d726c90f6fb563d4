import { randomBytes } from 'node:crypto';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { bindScratch, type BindParts } from './bind-sources.ts';
import { CannotDrill, isYes, type DrillCheck } from './core/drill.ts';
import type { Manifest } from './core/manifest.ts';
import type { Scratch, ScratchRequest, Scratches } from './core/scratch.ts';
import { reach } from './core/steps.ts';
import { runCommand } from './docker/command.ts';
import { removeHelpers } from './docker/helper.ts';
import type { ScratchModel } from './docker/scratch-spec.ts';
import {
  createScratch,
  listOwners,
  readScratch,
  removeScratches,
  startScratch,
} from './docker/scratch.ts';
import { chooseImage, findModel, refuseOlder } from './scratch-image.ts';
import { loadEngine } from './sources/engines.ts';
import { newRun } from './sources/runs.ts';
import { explainState } from './sources/scratch-fate.ts';
import { waitUntilReady } from './sources/scratch-ready.ts';
import type { ScratchPlace, ScratchRecipe } from './sources/scratch-recipe.ts';
import { openVolumeScratch } from './volume-scratch.ts';

/** Without so much free memory no database is started beside those that work. */
const LEAST_MEMORY_BYTES = 512 * 1024 * 1024;

/** Makes scratch containers and volumes, labelled with whose they are. */
export function scratches(parts: BindParts): Scratches {
  const { docker, storage } = parts;

  function ownerOf(source: string): string {
    return `${storage.identity}/${source}`;
  }

  return {
    async open(request, signal) {
      const owner = ownerOf(request.job.source);
      const name = `backupd-scratch-${randomBytes(6).toString('hex')}`;
      const { scratch } = await loadEngine(request.manifest.engine);
      return scratch === null
        ? openVolumeScratch(
            parts,
            { request, owner, name, runPrefix: drillPrefix(parts, request.job.source) },
            signal,
          )
        : openServer(parts, { request, owner, name, recipe: scratch }, signal);
    },

    async sweep(source, signal) {
      await removeHelpers(docker, drillPrefix(parts, source), signal);
      return removeScratches(docker, ownerOf(source), signal);
    },

    async left(signal) {
      const prefix = ownerOf('');
      return (await listOwners(docker, signal)).flatMap((owner) =>
        storage.identity !== '' && owner.startsWith(prefix) ? [owner.slice(prefix.length)] : [],
      );
    },
  };
}

/** Marks what a drill runs: not what a backup of the source clears up. */
function drillPrefix({ storage }: Pick<BindParts, 'storage'>, source: string): string {
  return `${storage.identity}/${source}/drill/`;
}

interface Opening {
  readonly request: ScratchRequest;
  readonly owner: string;
  readonly name: string;
  readonly recipe: ScratchRecipe;
}

async function openServer(
  parts: BindParts,
  { request, owner, name, recipe }: Opening,
  signal: AbortSignal,
): Promise<Scratch> {
  const { docker } = parts;
  const { manifest } = request;
  const found = await findModel(parts, request, signal);
  const { image, note } = await chooseImage(parts, manifest, found, signal);
  const model = found?.model ?? null;
  const memoryBytes = memoryFor(model);
  const password = randomBytes(24).toString('base64url');
  const spec = {
    name,
    owner,
    image,
    model,
    server: recipe,
    variables: recipe.variables(manifest, password, model?.env ?? new Map()),
    memoryBytes,
    cpus: Math.max(1, Math.floor(availableParallelism() / 2)),
  };
  const id = await createScratch(docker, spec, signal);
  reach('scratch-created');
  await startScratch(docker, { id, name }, signal);
  reach('scratch-started');
  const run = newRun(drillPrefix(parts, request.job.source));
  const place: ScratchPlace = { docker, containerId: id, container: name, run, password };
  await waitUntilReady(place, { recipe, manifest }, signal);
  const { source, target } = await bindScratch(
    parts,
    {
      manifest,
      target: { by: 'name', container: name },
      runPrefix: drillPrefix(parts, request.job.source),
    },
    signal,
  );
  await refuseOlder(source, target, { manifest, isOther: note !== null }, signal);
  return {
    source,
    target,
    notes: note === null ? [] : [note],
    explain: async (limit) => explainState(await readScratch(docker, id, limit), memoryBytes),
    ask: async (check, limit) => askServer(place, { recipe, manifest, check }, limit),
  };
}

function memoryFor(model: ScratchModel | null): number {
  const own = model?.memoryBytes ?? 0;
  const limit = own > 0 ? own : Math.floor(totalmem() / 2);
  const needed = Math.min(limit, LEAST_MEMORY_BYTES);
  if (freemem() < needed) {
    throw new CannotDrill(
      'no-space',
      `this host has ${megabytes(freemem())} MB of memory free, and ${megabytes(needed)} are needed to start a database beside those that work`,
      { hint: 'Drill at another time, or on another host with the same backups.' },
    );
  }
  return limit;
}

async function askServer(
  place: ScratchPlace,
  {
    recipe,
    manifest,
    check,
  }: {
    readonly recipe: ScratchRecipe;
    readonly manifest: Manifest;
    readonly check: DrillCheck;
  },
  signal: AbortSignal,
): Promise<{ readonly ok: boolean; readonly found: string }> {
  if (check.kind === 'statement') {
    const { database, statement } = check;
    const found = await recipe.ask(place, { manifest, database, statement }, signal);
    return { ok: isYes(found), found };
  }
  const { docker, run } = place;
  const what = { command: check.command, name: 'backupd.drill.check', run };
  const { exitCode, output } = await runCommand(docker, place, what, signal);
  return { ok: exitCode === 0, found: output };
}

function megabytes(bytes: number): number {
  return Math.floor(bytes / 1_000_000);
}
