import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { DestinationSettings } from '../../src/core/destination-settings.ts';
import type { Destination } from '../../src/core/destination.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { fileKey } from '../../src/core/remote-keys.ts';
import type { ConfiguredDestination } from '../../src/jobs/context.ts';

const NEVER = new AbortController().signal;

/** Puts all of a backup on this disk to a destination, its manifest last, as an upload does. */
export async function putCopy(
  destination: Destination,
  dir: string,
  { namespace, source, id }: Pick<Manifest, 'namespace' | 'source' | 'id'>,
): Promise<void> {
  const folder = join(dir, source, id);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted((one, other) => Number(one === 'manifest.json') - Number(other === 'manifest.json'));
  for (const name of names) {
    const bytes = await readFile(join(folder, name));
    await destination.put(
      fileKey({ namespace, source, id }, name),
      bytes,
      { ifAbsent: false },
      NEVER,
    );
  }
}

/** A destination as an app has it. */
export function asConfigured(destination: Destination): ConfiguredDestination {
  return {
    settings: { name: destination.name } as DestinationSettings,
    open: () => Promise.resolve(destination),
  };
}
