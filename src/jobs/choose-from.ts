import type { Destination } from '../core/destination.ts';
import { BackupdError } from '../core/errors.ts';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { readAttempts } from '../store/attempts.ts';
import {
  findNamespaces,
  findRemoteSources,
  type RemoteEntry,
  type RemoteLook,
} from '../store/remote-catalog.ts';
import { chooseBackup, looksLikeId, warnOfNewer } from './choose.ts';
import type { Chosen, Wish } from './chosen.ts';
import type { App } from './context.ts';
import { copyWarnings, lookAt, lookWarnings, openCopy } from './find-copy.ts';
import { namedDestination } from './named-destination.ts';

/**
 * Decides which backup is restored, of those that a destination holds; one that is here as well is fetched as far as it is
 * not whole here. What is here alone is taken where its id is named: else a backup of the empty database of a new host would
 * be the latest.
 * @throws BackupdError with why there is none
 */
export async function chooseFrom(
  wish: Wish & { readonly from: string },
  app: App,
  signal: AbortSignal,
): Promise<Chosen> {
  const { context, settings } = app;
  const destination = await namedDestination(wish.from, context.destinations);
  const look = await lookAt(destination, wish.source, context, signal);
  const name = wish.source ?? (await onlySource(look, destination, app));
  const there = look.entries.filter(
    ({ flaw, manifest }) => flaw === null && manifest.source === name,
  );
  const here = await onlyHere(name, there, app);
  const entries = looksLikeId(wish.at) ? newestFirst([...there, ...here]) : newestFirst(there);
  if (entries.length === 0) {
    throw await nothingThere({ source: name, look, destination }, app, signal);
  }
  refuseFlawed(name, wish.at, look, destination);
  const { attempts } = await readAttempts(context.storage.dir, name);
  const { entry, gap } = chooseBackup({ entries, attempts }, wish.at, settings.timezone);
  const unusable = [
    ...here.map(({ manifest }) => [manifest.id, `it is not at ${destination.name}`] as const),
    ...flaws(name, look, destination).map(({ id, why }) => [id, why] as const),
  ];
  const newer = wish.at === 'latest' ? warnOfNewer(entry, entries, unusable) : [];
  if (!isRemote(entry)) {
    return {
      manifest: await context.catalog.manifest(name, entry.manifest.id),
      gap,
      copy: null,
      damage: await context.catalog.wrongFile(entry),
      warnings: [
        {
          code: 'not-there',
          message: `backup ${entry.manifest.id} is not at ${destination.name}: the one that is here is taken`,
        },
        ...newer,
      ],
    };
  }
  const copy = await openCopy(destination, entry, context, signal);
  return {
    manifest: copy.manifest,
    gap,
    copy,
    damage: null,
    warnings: [...lookWarnings(look, destination), ...copyWarnings(copy), ...newer],
  };
}

function isRemote(entry: CatalogEntry | RemoteEntry): entry is RemoteEntry {
  return 'objects' in entry;
}

async function onlySource(
  { sources }: RemoteLook,
  destination: Destination,
  { context }: App,
): Promise<string> {
  const names = [...new Set([...sources, ...(await context.catalog.sources())])].toSorted();
  const [only, another] = names;
  if (another !== undefined) {
    throw new BackupdError('usage', `which source? there are backups of ${names.join(', ')}`, {
      hint: `Name one: "backupd restore SOURCE --from ${destination.name}".`,
    });
  }
  // Where there is none at all the name does not matter.
  return only ?? '';
}

async function onlyHere(
  source: string,
  there: readonly RemoteEntry[],
  { context: { catalog } }: App,
): Promise<readonly CatalogEntry[]> {
  const known = new Set(there.map(({ manifest }) => manifest.id));
  const here = (await catalog.sources()).includes(source) ? await catalog.entries(source) : [];
  return here.filter(({ manifest }) => !known.has(manifest.id));
}

function newestFirst<Entry extends CatalogEntry>(entries: readonly Entry[]): readonly Entry[] {
  return entries.toSorted((one, other) => (one.manifest.id < other.manifest.id ? 1 : -1));
}

async function nothingThere(
  {
    source,
    look,
    destination,
  }: { readonly source: string; readonly look: RemoteLook; readonly destination: Destination },
  { context: { storage } }: App,
  signal: AbortSignal,
): Promise<BackupdError> {
  const { name, place } = destination;
  const [unusable] = flaws(source, look, destination);
  if (unusable !== undefined) {
    return new BackupdError(
      'backup-not-found',
      `no backup of "${source}" at ${name} is whole: ${unusable.why}`,
      {
        hint: `Run "backupd list --from ${name}" to see what is there.`,
      },
    );
  }
  const sources = await findRemoteSources(destination, storage.namespace, signal);
  if (sources.length > 0) {
    return new BackupdError('source-not-found', `${name} has no backups of a source "${source}"`, {
      hint: `There are: ${sources.join(', ')}.`,
    });
  }
  const others = await findNamespaces(destination, signal);
  const [unseen] = lookWarnings(look, destination);
  return new BackupdError(
    'backup-not-found',
    `${name} (${place}) has no backups of the namespace "${storage.namespace}"`,
    {
      hint:
        others.length === 0
          ? `It has none of any other either: look at the bucket, the prefix and the endpoint.${unseen === undefined ? '' : ` And ${unseen.message}.`}`
          : `It has some of ${others.map((other) => `"${other}"`).join(', ')}. ${storage.dir} belongs to "${storage.namespace}": mount an empty volume there and set BACKUPD_NAMESPACE to the one you want.`,
    },
  );
}

interface Flaw {
  readonly id: string;
  readonly why: string;
}

/** What is at the destination and cannot be restored; newest first. */
function flaws(
  source: string,
  { entries, unreadable }: RemoteLook,
  { name }: Destination,
): readonly Flaw[] {
  return [
    ...entries.flatMap(({ manifest, flaw }) =>
      flaw !== null && manifest.source === source
        ? [{ id: manifest.id, why: `at ${name} ${flaw}` }]
        : [],
    ),
    ...unreadable
      .filter((one) => one.source === source)
      .map(({ id, error }) => ({ id, why: error.message })),
  ].toSorted((one, other) => (one.id < other.id ? 1 : -1));
}

/** Among the whole ones it would only be missing; this says what is wrong with it. */
function refuseFlawed(
  source: string,
  at: string,
  look: RemoteLook,
  destination: Destination,
): void {
  const isThere = look.entries.some(
    ({ flaw, manifest }) => flaw === null && manifest.id.startsWith(at),
  );
  const flaw = flaws(source, look, destination).find(({ id }) => id.startsWith(at));
  if (looksLikeId(at) && flaw !== undefined && !isThere) {
    throw new BackupdError('archive-corrupt', `backup ${flaw.id} cannot be restored: ${flaw.why}`, {
      hint: `Take another one: see "backupd list --from ${destination.name}".`,
    });
  }
}
