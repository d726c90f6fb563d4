import { basename, dirname, join } from 'node:path';
import { BackupdError, toFailure, type FailureCode } from '../core/errors.ts';
import { isBackupId } from '../core/layout.ts';
import { hintOfNames, NOTHING_HERE } from '../core/source-names.ts';
import { isDamaged, type CatalogEntry } from '../core/catalog-entry.ts';
import { readAttempts } from '../store/attempts.ts';
import type { RemoteEntry } from '../store/remote-catalog.ts';
import { chooseBackup, looksLikeId, warnOfNewer, type Choice } from './choose.ts';
import { chooseFrom } from './choose-from.ts';
import type { Chosen, Wish } from './chosen.ts';
import type { App } from './context.ts';
import { copyWarnings, describeFailures, searchCopies, type Copy } from './find-copy.ts';

/**
 * Decides which backup is restored, and from where. Where what is here is damaged, or not here any more, the destinations
 * are asked for a copy.
 * @throws BackupdError with why there is none
 */
export async function chooseRestore(wish: Wish, app: App, signal: AbortSignal): Promise<Chosen> {
  if (wish.from !== null) {
    return chooseFrom({ ...wish, from: wish.from }, app, signal);
  }
  let local: LocalChoice;
  try {
    local = await chooseLocal(wish, app);
  } catch (error) {
    return chooseGone(wish, error, app, signal);
  }
  const flawed = await findFlawed(local, wish.at, app);
  if (flawed.size === 0 || app.context.destinations.length === 0) {
    return describeLocal(local, wish.at, app);
  }
  const { source } = local.entry.manifest;
  const search = await searchCopies(
    source,
    (entries) =>
      pick(
        entries.filter(({ manifest }) => flawed.has(manifest.id)),
        wish.at,
        app,
      )?.entry ?? null,
    app.context,
    signal,
  );
  return search.copy === null
    ? describeLocal(local, wish.at, app)
    : describeCopy(search.copy, local.gap, `${flawed.get(search.copy.manifest.id)}`);
}

/** Why nothing here can be restored, which a copy makes up for. */
const COPY_HELPS: ReadonlySet<FailureCode> = new Set([
  'backup-not-found',
  'source-not-found',
  'archive-corrupt',
]);

/** What is not here may be elsewhere. */
async function chooseGone(
  wish: Wish,
  error: unknown,
  app: App,
  signal: AbortSignal,
): Promise<Chosen> {
  const { code, message, hint } = toFailure(error);
  if (!COPY_HELPS.has(code) || app.context.destinations.length === 0) {
    throw error;
  }
  let gap: string | null = null;
  const search = await searchCopies(
    wish.source,
    (entries, { sources }) => {
      if (wish.source === null && sources.length > 1) {
        return null;
      }
      const choice = pick(entries, wish.at, app);
      gap = choice?.gap ?? null;
      return choice?.entry ?? null;
    },
    app.context,
    signal,
  );
  if (search.copy === null) {
    throw new BackupdError(code, message, {
      hint: `${hint ?? ''}${describeFailures(search)}`,
      cause: error,
    });
  }
  return describeCopy(search.copy, gap, message);
}

/** Null where none fits: that is told by what is here. */
function pick(
  entries: readonly RemoteEntry[],
  at: string,
  app: App,
): (Choice & { readonly entry: RemoteEntry }) | null {
  try {
    const { entry, gap } = chooseBackup({ entries, attempts: [] }, at, app.settings.timezone);
    return { entry: entry as RemoteEntry, gap };
  } catch (error) {
    if (toFailure(error).code === 'backup-not-found') {
      return null;
    }
    throw error;
  }
}

function describeCopy(copy: Copy, gap: string | null, why: string): Chosen {
  const { manifest, destination } = copy;
  const warning = {
    code: 'copy-taken',
    message: `${why}: the copy of ${manifest.id} at ${destination.name} is taken`,
  };
  return { manifest, gap, copy, damage: null, warnings: [warning, ...copyWarnings(copy)] };
}

interface LocalChoice extends Choice {
  readonly entries: readonly CatalogEntry[];
}

async function chooseLocal({ source, at }: Wish, app: App): Promise<LocalChoice> {
  const { catalog, storage } = app.context;
  const name = source ?? (await onlySource(app));
  const entries = await entriesOf(name, app);
  if (looksLikeId(at)) {
    // Among the entries one that cannot be read would only be missing; this says what is wrong with it.
    await catalog.find(`${name}/${at}`);
  } else if (entries.length === 0) {
    await refuseUnreadable(name, app);
  }
  const { attempts } = await readAttempts(storage.dir, name);
  return { ...chooseBackup({ entries, attempts }, at, app.settings.timezone), entries };
}

async function describeLocal(local: LocalChoice, at: string, app: App): Promise<Chosen> {
  const { catalog } = app.context;
  const { entry, entries, gap } = local;
  const { source, id } = entry.manifest;
  return {
    manifest: await catalog.manifest(source, id),
    gap,
    copy: null,
    damage: await catalog.wrongFile(entry),
    warnings: at === 'latest' ? warnOfNewer(entry, entries, await unreadableIds(source, app)) : [],
  };
}

/**
 * The backups here of which a copy would be taken rather than what was chosen, and why: the chosen one where it is damaged,
 * and newer ones that would have been chosen if they were whole. By their ids.
 */
async function findFlawed(
  { entry, entries }: LocalChoice,
  at: string,
  app: App,
): Promise<ReadonlyMap<string, string>> {
  const { source, id } = entry.manifest;
  const flawed = new Map<string, string>();
  const wrongFile = await app.context.catalog.wrongFile(entry);
  if (wrongFile !== null) {
    flawed.set(id, `backup ${id} is damaged here (${wrongFile})`);
  } else if (isDamaged(entry)) {
    flawed.set(id, `backup ${id} is damaged here`);
  }
  if (looksLikeId(at)) {
    return flawed;
  }
  const damaged = entries.filter((one) => isDamaged(one)).map(({ manifest }) => manifest.id);
  const unreadable = await unreadableIds(source, app);
  for (const newer of [...damaged, ...unreadable.keys()].filter((one) => one > id)) {
    flawed.set(newer, `backup ${newer} is damaged here`);
  }
  return flawed;
}

/** Folders of a source that cannot be used, and why, by their ids. */
async function unreadableIds(source: string, app: App): Promise<ReadonlyMap<string, string>> {
  const { catalog, storage } = app.context;
  return new Map(
    (await catalog.problems())
      .filter(
        ({ path }) => dirname(path) === join(storage.dir, source) && isBackupId(basename(path)),
      )
      .map(({ path, message }) => [basename(path), message]),
  );
}

async function onlySource(app: App): Promise<string> {
  const names = await app.context.catalog.sources();
  const [only, another] = names;
  if (only === undefined) {
    throw new BackupdError('backup-not-found', 'there is no backup of anything', {
      hint: NOTHING_HERE,
    });
  }
  if (another !== undefined) {
    throw new BackupdError('usage', `which source? there are backups of ${names.join(', ')}`, {
      hint: 'Name one: "backupd restore SOURCE".',
    });
  }
  return only;
}

async function entriesOf(name: string, app: App): Promise<readonly CatalogEntry[]> {
  const names = await app.context.catalog.sources();
  if (!names.includes(name)) {
    throw new BackupdError('source-not-found', `there are no backups of a source "${name}"`, {
      hint: hintOfNames(names),
    });
  }
  return app.context.catalog.entries(name);
}

/** Where there are folders of backups, and none of them can be used, the reason is not that nobody made one. */
async function refuseUnreadable(name: string, app: App): Promise<void> {
  const unreadable = await app.context.catalog.unreadable(name);
  const [first] = unreadable;
  if (first !== undefined) {
    throw new BackupdError(
      'backup-not-found',
      `none of the ${unreadable.length} backups of "${name}" can be used: ${first.message}`,
      { hint: 'Run "backupd check" to see all of them.' },
    );
  }
}
