import type { BindParts } from './bind-sources.ts';
import { CannotDrill } from './core/drill.ts';
import { toFailure } from './core/errors.ts';
import type { ContainerFacts, Manifest } from './core/manifest.ts';
import type { Scratch, ScratchRequest } from './core/scratch.ts';
import type { ScratchImage, ScratchModel } from './docker/scratch-spec.ts';
import { findImage, readModel } from './docker/scratch.ts';
import { containerOf } from './targets.ts';

/** The container of a source as it is configured now. */
export interface Found {
  readonly model: ScratchModel;
  readonly imageId: string;
}

/** The container of the source, running or not; null where there is none. */
export async function findModel(
  parts: BindParts,
  { job }: ScratchRequest,
  signal: AbortSignal,
): Promise<Found | null> {
  if (job.target.by === 'volume') {
    return null;
  }
  const seen = await parts.surroundings.look(signal);
  let id: string;
  try {
    id = containerOf(job.target, seen);
  } catch (error) {
    const { code, message } = toFailure(error);
    if (seen.containers === null) {
      throw new CannotDrill(code, message, { cause: error });
    }
    return null;
  }
  return readModel(parts.docker, id, signal);
}

/** The image that the backup is of, else the one that its container has now; nothing is pulled. */
export async function chooseImage(
  { docker }: BindParts,
  { target }: Manifest,
  now: Found | null,
  signal: AbortSignal,
): Promise<{ readonly image: ScratchImage; readonly note: string | null }> {
  const recorded = target as ContainerFacts;
  for (const name of [recorded.imageId, ...recorded.repoDigests]) {
    const image = await findImage(docker, name, signal);
    if (image !== null) {
      return { image, note: null };
    }
  }
  const image = now === null ? null : await findImage(docker, now.imageId, signal);
  if (image === null) {
    throw new CannotDrill(
      'target-unavailable',
      `the image that the backup is of (${recorded.image}, ${recorded.imageId.slice(0, 19)}) is not here any more, and its container has none that could stand for it`,
      { hint: `Bring it back ("docker pull ${recorded.image}"): a drill pulls nothing.` },
    );
  }
  return {
    image,
    note: `the image that the backup is of (${recorded.image}, ${recorded.imageId.slice(0, 19)}) is gone: the one that its container has now was taken`,
  };
}

/** Another image than the recorded one must be of the same kind, and not older. @throws CannotDrill */
export async function refuseOlder(
  source: Scratch['source'],
  target: Scratch['target'],
  { manifest, isOther }: { readonly manifest: Manifest; readonly isOther: boolean },
  signal: AbortSignal,
): Promise<void> {
  if (!isOther) {
    return;
  }
  const { serverVersion } = await source.probe(target, signal);
  const recorded = manifest.facts.serverVersion;
  const isSameFlavour = /mariadb/i.test(serverVersion) === /mariadb/i.test(recorded);
  if (!isSameFlavour || isOlder(serverVersion, recorded)) {
    throw new CannotDrill(
      'target-unavailable',
      `the image that the backup is of is not here any more, and the one that its container has now is no stand-in: ${serverVersion} for ${recorded}`,
      { hint: 'Bring the old image back ("docker pull"): a drill pulls nothing.' },
    );
  }
}

function isOlder(version: string, than: string): boolean {
  const [one, other] = [version, than].map((text) =>
    (/\d+(?:\.\d+)*/.exec(text)?.[0] ?? '0').split('.').map(Number),
  );
  for (const [index, wanted] of (other ?? []).entries()) {
    const has = one?.[index] ?? 0;
    if (has !== wanted) {
      return has < wanted;
    }
  }
  return false;
}
