import { BackupdError } from '../core/errors.ts';
import { resolveId } from '../core/layout.ts';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import type { RemoteEntry } from '../store/remote-catalog.ts';
import type { JobContext } from './context.ts';
import { describeFailures, searchCopies, type Copy, type Search } from './find-copy.ts';

/** A backup that is here, or a copy of one that is not. */
export interface Found {
  readonly entry: CatalogEntry;
  /** Null: it is here. */
  readonly copy: Copy | null;
}

/**
 * The backup whose id is, or begins with, what a user typed; `<source>/<id>` where one id is that of two sources. One that
 * is not here, or of which a file is missing, is looked for at the destinations.
 * @throws BackupdError `backup-not-found`, `usage` where it is ambiguous, and what is wrong with a damaged one
 */
export async function findAnywhere(
  typed: string,
  context: JobContext,
  signal: AbortSignal,
): Promise<Found> {
  const here = await findHere(typed, context);
  const isWhole = here.entry !== null && (await context.catalog.wrongFile(here.entry)) === null;
  const search =
    isWhole || context.destinations.length === 0
      ? NOT_SEARCHED
      : await searchCopies(
          here.entry?.manifest.source ?? sourceTyped(typed),
          (entries) => matchTyped(here.entry?.manifest.id ?? typed, entries),
          context,
          signal,
        );
  if (search.copy !== null) {
    return { entry: search.copy.entry, copy: search.copy };
  }
  if (here.entry !== null) {
    return { entry: here.entry, copy: null };
  }
  const { code, message, hint, cause } = here.failure;
  throw new BackupdError(code, message, {
    hint: `${hint ?? ''}${describeFailures(search)}`,
    cause,
  });
}

const NOT_SEARCHED: Search = { copy: null, failures: [] };

type Here =
  | { readonly entry: CatalogEntry }
  | { readonly entry: null; readonly failure: BackupdError };

/** What is here, or why it is not, where a copy would make up for that. @throws BackupdError `usage` where it is ambiguous */
export async function findHere(typed: string, { catalog }: JobContext): Promise<Here> {
  try {
    return { entry: await catalog.find(typed) };
  } catch (error) {
    const mayBeElsewhere =
      error instanceof BackupdError &&
      (error.code === 'backup-not-found' || error.code === 'archive-corrupt');
    if (!mayBeElsewhere) {
      throw error;
    }
    return { entry: null, failure: error };
  }
}

/** The source that a user named with an id; null: none. */
export function sourceTyped(typed: string): string | null {
  const slash = typed.indexOf('/');
  return slash === -1 ? null : typed.slice(0, slash);
}

/** The one among these whose id a user typed; null: there is none. @throws BackupdError `usage` where it is ambiguous */
export function matchTyped(typed: string, entries: readonly RemoteEntry[]): RemoteEntry | null {
  const beginning = typed.slice(typed.indexOf('/') + 1);
  const ids = entries.map(({ manifest }) => manifest.id);
  if (!ids.some((id) => id.startsWith(beginning))) {
    return null;
  }
  const id = resolveId(beginning, ids);
  return entries.find(({ manifest }) => manifest.id === id) ?? null;
}
