import type { CatalogEntry } from '../core/catalog-entry.ts';
import type { RemoteLook } from '../store/remote-catalog.ts';
import { isArchived } from './bring-back.ts';
import type { ConfiguredDestination } from './context.ts';
import { lookAt, openCopy } from './find-copy.ts';
import type { Verification, VerifyApp } from './verify.ts';
import { verifyCopy, writeDown } from './verify-remote.ts';

/**
 * Reads one copy at a destination back, the first of the candidates that can be read at once and for no extra money, and
 * writes down what it found: one that is not whole is lost, and sent again. All are gone through: where copies are moved to an
 * archive at their age, those that were not read for longest are all there.
 * @returns null where there is none
 * @throws BackupdError what the destination throws, or the signal's reason
 */
export async function sampleCopy(
  candidates: readonly CatalogEntry[],
  configured: ConfiguredDestination,
  app: VerifyApp,
  signal: AbortSignal,
): Promise<Verification | null> {
  const { context } = app;
  const destination = await configured.open();
  const looks = new Map<string, RemoteLook>();
  for (const { manifest } of candidates) {
    const { source, id } = manifest;
    const look = looks.get(source) ?? (await lookAt(destination, source, context, signal));
    looks.set(source, look);
    const entry = look.entries.find((each) => each.manifest.id === id);
    // What is missing there is found by comparing lists, at the next upload.
    if (entry === undefined) {
      continue;
    }
    const copy = await openCopy(destination, entry, context, signal);
    if (!(await isArchived(copy, signal))) {
      await using ring = context.keys.ring();
      const verification = await verifyCopy(entry, destination, { ...app, ring }, signal);
      if (verification !== null) {
        await writeDown(verification, destination, app);
        return verification;
      }
    }
  }
  return null;
}
