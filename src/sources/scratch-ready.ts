import { setTimeout as delay } from 'node:timers/promises';
import { CannotDrill } from '../core/drill.ts';
import { BackupdError } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import { runExec } from '../docker/run-exec.ts';
import { readScratch } from '../docker/scratch.ts';
import type { ScratchPlace, ScratchRecipe } from './scratch-recipe.ts';

/** A server that was started with new data may take long on a busy host, but not for ever. */
const READY_WITHIN_MS = 10 * 60_000;
const LOOK_MS = 500;
/** Where the first process is not the server (a wrapper), an answer that lasts so long is the server's that stays. */
const STEADY_MS = 20_000;
/** A scratch server that is ready: what answers is the server that stays, and it does so twice. */
export async function waitUntilReady(
  place: ScratchPlace,
  { recipe, manifest }: { readonly recipe: ScratchRecipe; readonly manifest: Manifest },
  signal: AbortSignal,
): Promise<void> {
  const began = performance.now();
  let answersSince: number | null = null;
  for (;;) {
    const isAnswered =
      (await isAlive(place, signal)) && (await recipe.answers(place, manifest, signal));
    const now = performance.now();
    if (isAnswered && answersSince !== null) {
      const isServer = recipe.programs.includes(await firstProcess(place, signal));
      if (isServer || now - answersSince > STEADY_MS) {
        return;
      }
    }
    answersSince = isAnswered ? (answersSince ?? now) : null;
    if (now - began > READY_WITHIN_MS) {
      throw new BackupdError(
        'restore-failed',
        `the scratch container did not answer within ${READY_WITHIN_MS / 60_000} minutes`,
        { hint: 'Start the image by hand to see why. A slow host may need more memory.' },
      );
    }
    await pause(signal);
  }
}

/** @throws BackupdError `restore-failed` where it ended, CannotDrill where it had too little memory */
async function isAlive(
  { docker, containerId }: ScratchPlace,
  signal: AbortSignal,
): Promise<boolean> {
  const state = await readScratch(docker, containerId, signal);
  if (state.runs) {
    return true;
  }
  if (state.outOfMemory) {
    throw new CannotDrill('no-space', 'the scratch container ran out of memory while it started', {
      hint: 'Give its source a higher memory limit, which is that of the scratch container, too.',
    });
  }
  throw new BackupdError(
    'restore-failed',
    `the scratch container ended with ${state.exitCode} before it answered: ${state.said}`,
    {
      hint: 'A drill starts the image of the source with its command, new data and no network. Where it needs more than that, set backupd.drill=off and say so in an issue.',
    },
  );
}

async function firstProcess({ docker, ...at }: ScratchPlace, signal: AbortSignal): Promise<string> {
  const { containerId, container, run } = at;
  const argv = ['cat', '/proc/1/comm'];
  const { stdout } = await runExec(docker, { containerId, container, run, argv }, signal);
  return stdout.trim();
}

async function pause(signal: AbortSignal): Promise<void> {
  try {
    await delay(LOOK_MS, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
