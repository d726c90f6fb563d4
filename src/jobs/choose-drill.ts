import {
  CannotDrill,
  chooseNewest,
  isTurnOfOldest,
  oldestFirst,
  type DrillRecord,
} from '../core/drill.ts';
import { toFailure } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import { findArchived } from './bring-back.ts';
import type { ConfiguredDestination, JobContext } from './context.ts';
import { lookAt, openCopy, type Copy } from './find-copy.ts';

/** What a drill restores. */
export interface DrillSubject {
  readonly manifest: Manifest;
  /** Null: what is here. */
  readonly copy: Copy | null;
  /** Why this one; and why not another one, where that was its turn. */
  readonly notes: readonly string[];
}

/** A bucket may hold years of archived backups: asking each of them costs a request. */
const MOST_ASKED = 100;

/**
 * The newest backup that was not drilled yet; every fourth time the oldest one off this host that can be read at once:
 * nothing is asked back from an archive for a drill.
 * @throws CannotDrill where there is none
 */
export async function chooseForDrill(
  source: string,
  record: DrillRecord,
  context: JobContext,
  signal: AbortSignal,
): Promise<DrillSubject> {
  const notes: string[] = [];
  for (const configured of isTurnOfOldest(record) ? context.destinations : []) {
    const { name } = configured.settings;
    try {
      const copy = await findOldest(source, configured, context, signal);
      if (copy !== null) {
        const reason = `every fourth drill: the oldest backup at ${name} that can be read at once`;
        return { manifest: copy.manifest, copy, notes: [...notes, reason] };
      }
      notes.push(`${name} has no backup of it that can be read at once`);
    } catch (error) {
      signal.throwIfAborted();
      notes.push(`${name} could not be asked for its oldest backup: ${toFailure(error).message}`);
    }
  }
  const newest = await newestHere(source, notes, context);
  if (newest === null) {
    throw new CannotDrill('backup-not-found', `there is no good backup of "${source}" here`, {
      hint: `Make one with "backupd backup ${source}".`,
    });
  }
  return newest;
}

/**
 * What is drilled in the place of an old copy that cannot be tried: else the turn of the old one would never end, and no
 * newer backup be drilled again. Null where there is nothing else.
 */
export async function chooseInstead(
  { manifest: { source, id }, notes }: DrillSubject,
  why: CannotDrill,
  context: JobContext,
): Promise<DrillSubject | null> {
  const said = [...notes, `it could not be tried: ${why.message}`];
  const newest = await newestHere(source, said, context);
  return newest?.manifest.id === id ? null : newest;
}

async function newestHere(
  source: string,
  notes: readonly string[],
  { catalog }: JobContext,
): Promise<DrillSubject | null> {
  const choice = chooseNewest(await catalog.entries(source));
  if (choice === null) {
    return null;
  }
  const manifest = await catalog.manifest(source, choice.entry.manifest.id);
  return { manifest, copy: null, notes: [...notes, choice.reason] };
}

async function findOldest(
  source: string,
  configured: ConfiguredDestination,
  context: JobContext,
  signal: AbortSignal,
): Promise<Copy | null> {
  const destination = await configured.open();
  const { entries } = await lookAt(destination, source, context, signal);
  const whole = entries.filter(({ flaw, manifest }) => flaw === null && manifest.source === source);
  for (const entry of oldestFirst(whole).slice(0, MOST_ASKED)) {
    const copy = await openCopy(destination, entry, context, signal);
    if ((await findArchived(copy, signal)).length === 0) {
      return copy;
    }
  }
  return null;
}
