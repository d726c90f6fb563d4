import { BackupdError, toFailure } from '../core/errors.ts';
import { resolveId } from '../core/layout.ts';
import type { CatalogEntry } from '../core/manifest.ts';
import type { RemoteEntry } from '../store/remote-catalog.ts';
import type { JobContext } from './context.ts';
import { describeFailures, searchCopies, type Copy } from './find-copy.ts';

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
  const { catalog } = context;
  let here: CatalogEntry | null = null;
  let failure = null;
  try {
    here = await catalog.find(typed);
    if (context.destinations.length === 0 || (await catalog.wrongFile(here)) === null) {
      return { entry: here, copy: null };
    }
  } catch (error) {
    failure = toFailure(error);
    const mayBeElsewhere =
      failure.code === 'backup-not-found' || failure.code === 'archive-corrupt';
    if (!mayBeElsewhere || context.destinations.length === 0) {
      throw error;
    }
  }
  const search = await searchCopies(
    sourceOf(typed, here),
    (entries) => match(here?.manifest.id ?? typed, entries),
    context,
    signal,
  );
  if (search.copy !== null) {
    return { entry: search.copy.entry, copy: search.copy };
  }
  if (here !== null) {
    return { entry: here, copy: null };
  }
  throw new BackupdError(failure?.code ?? 'backup-not-found', failure?.message ?? typed, {
    hint: `${failure?.hint ?? ''}${describeFailures(search)}`,
  });
}

function sourceOf(typed: string, here: CatalogEntry | null): string | null {
  const slash = typed.indexOf('/');
  return here?.manifest.source ?? (slash === -1 ? null : typed.slice(0, slash));
}

/** @throws BackupdError `usage` where it is ambiguous */
function match(typed: string, entries: readonly RemoteEntry[]): RemoteEntry | null {
  const beginning = typed.slice(typed.indexOf('/') + 1);
  const ids = entries.map(({ manifest }) => manifest.id);
  if (!ids.some((id) => id.startsWith(beginning))) {
    return null;
  }
  const id = resolveId(beginning, ids);
  return entries.find(({ manifest }) => manifest.id === id) ?? null;
}
