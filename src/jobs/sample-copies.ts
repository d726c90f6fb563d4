import type { CatalogEntry } from '../core/catalog-entry.ts';
import { findArchived } from './bring-back.ts';
import type { ConfiguredDestination } from './context.ts';
import { lookAt, openCopy } from './find-copy.ts';
import type { Verification, VerifyApp } from './verify.ts';
import { verifyCopy, writeDown } from './verify-remote.ts';

/** Archives give nothing back at once: no more of their copies than this are asked about. */
const MOST_ASKED = 5;

/**
 * Reads one copy at a destination back, the first of the candidates that can be read at once and for no extra money, and
 * writes down what it found: one that is not whole is lost, and sent again.
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
  for (const { manifest } of candidates.slice(0, MOST_ASKED)) {
    const { source, id } = manifest;
    const look = await lookAt(destination, source, context, signal);
    const entry = look.entries.find((each) => each.manifest.id === id);
    // What is missing there is found by comparing lists, at the next upload.
    if (entry === undefined) {
      continue;
    }
    const copy = await openCopy(destination, entry, context, signal);
    if ((await findArchived(copy, signal)).length === 0) {
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
