import { listCopies } from '../../core/copies.ts';
import { BackupdError } from '../../core/errors.ts';
import { dumpBytes, storedBytes } from '../../core/manifest.ts';
import { hintOfNames } from '../../core/source-names.ts';
import {
  drilledAt,
  isDamaged,
  isPinned,
  verifiedAt,
  type CatalogEntry,
} from '../../core/catalog-entry.ts';
import type { App } from '../../jobs/context.ts';
import { listRemote } from '../../jobs/list-remote.ts';
import { knownSources } from '../../store/known-sources.ts';
import type { CommandOf } from '../arguments.ts';
import { formatAge, formatSize } from '../format.ts';
import { warningLine, type Output } from '../output.ts';
import { tableLines } from '../table.ts';
import type { Line, Span } from '../text.ts';

/** `list`: backups, newest first. */
export async function listCommand(
  { source, from }: CommandOf<'list'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  if (from !== null) {
    return listCopiesCommand({ source, from }, app, out, signal);
  }
  const entries = source === null ? await allEntries(app) : await entriesOf(source, app);
  if (out.json) {
    out.printJson(entries.map((entry) => describeEntry(entry)));
  }
  const unusable = await countUnusable(source, app);
  if (entries.length > 0 && !out.json) {
    out.print(...entryTable(entries, Date.now()));
  } else if (unusable === 0) {
    out.note('no backups yet');
  }
  if (unusable > 0) {
    out.note(
      warningLine(
        `not shown: ${unusable} ${unusable === 1 ? 'folder' : 'folders'} that cannot be used as a backup; "backupd check" says why`,
      ),
    );
  }
  return 0;
}

/** `list --from`: what a destination holds. */
async function listCopiesCommand(
  wanted: { readonly source: string | null; readonly from: string },
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const { copies, unusable, warnings } = await listRemote(wanted, app, signal);
  out.printJson(
    copies.map((entry) => ({
      ...describeEntry(entry),
      copies: [{ destination: wanted.from, at: entry.manifestVersion.modifiedAt }],
    })),
  );
  if (copies.length > 0) {
    out.print(...entryTable(copies, Date.now(), wanted.from));
  } else {
    out.note(`no backups at ${wanted.from}`);
  }
  const hidden = copies.filter(({ isHidden }) => isHidden).length;
  if (hidden > 0) {
    out.note(
      warningLine(
        `of ${hidden} of them something was deleted or overwritten there; a restore takes what was there before`,
      ),
    );
  }
  out.note(...warnings.map(({ message }) => warningLine(message)));
  out.note(...unusable.map(({ id, why }) => warningLine(`not shown: ${id} is no backup: ${why}`)));
  return 0;
}

async function countUnusable(source: string | null, { context }: App): Promise<number> {
  const sources = source === null ? await context.catalog.sources() : [source];
  const found = await Promise.all(sources.map((name) => context.catalog.unreadable(name)));
  return found.flat().length;
}

async function allEntries({ context }: App): Promise<readonly CatalogEntry[]> {
  const entries = await context.catalog.all();
  // Ids sort by time.
  return entries.toSorted((one, other) => (one.manifest.id < other.manifest.id ? 1 : -1));
}

async function entriesOf(source: string, { context }: App): Promise<readonly CatalogEntry[]> {
  const withBackups = await context.catalog.sources();
  if (withBackups.includes(source)) {
    return context.catalog.entries(source);
  }
  const known = (await knownSources(context.storage.dir)).map((job) => job.source);
  if (known.includes(source)) {
    return [];
  }
  const names = [...new Set([...withBackups, ...known])].toSorted();
  throw new BackupdError('source-not-found', `there is no source "${source}"`, {
    hint: hintOfNames(names),
  });
}

/** What `list --json` says of a backup. */
export function describeEntry(entry: CatalogEntry): Readonly<Record<string, unknown>> {
  const { manifest } = entry;
  return {
    id: manifest.id,
    source: manifest.source,
    engine: manifest.engine,
    kind: manifest.kind,
    startedAt: manifest.startedAt,
    finishedAt: manifest.finishedAt,
    storedBytes: storedBytes(manifest),
    dumpBytes: dumpBytes(manifest),
    databases: manifest.databases,
    encryption: manifest.encryption,
    copies: listCopies(entry),
    verifiedAt: verifiedAt(entry),
    drilledAt: drilledAt(entry),
    pins: isPinned(entry) ? ['by-hand'] : [],
    suspicious: manifest.suspicious,
    damaged: isDamaged(entry),
    warnings: manifest.warnings,
  };
}

function entryTable(
  entries: readonly CatalogEntry[],
  nowMs: number,
  from: string | null = null,
): readonly Line[] {
  return tableLines(
    [
      { title: 'ID' },
      { title: 'SOURCE' },
      { title: 'AGE', align: 'right' },
      { title: 'KIND' },
      { title: 'SIZE', align: 'right' },
      { title: 'COPIES' },
      { title: 'VERIFIED' },
      { title: 'DATABASES' },
      { title: 'NOTES' },
    ],
    entries.map((entry) => {
      const { manifest } = entry;
      const verified = verifiedAt(entry);
      return [
        manifest.id,
        manifest.source,
        formatAge(manifest.startedAt, nowMs),
        manifest.kind,
        formatSize(storedBytes(manifest)),
        copyNames(entry, from),
        verified === null ? '-' : `${formatAge(verified, nowMs)} ago`,
        shorten(manifest.databases),
        notes(entry),
      ];
    }),
  );
}

/** Of what a destination holds, it alone is known. */
function copyNames(entry: CatalogEntry, from: string | null): string {
  const names = listCopies(entry).map(({ destination }) => destination);
  return from ?? (names.join(', ') || '-');
}

const LISTED_DATABASES = 4;

function shorten(names: readonly string[]): string {
  const more = names.length - LISTED_DATABASES;
  const listed = names.slice(0, LISTED_DATABASES).join(', ');
  return more > 0 ? `${listed} and ${more} more` : listed;
}

function notes(entry: CatalogEntry): readonly Span[] {
  const { encryption, suspicious, warnings } = entry.manifest;
  const all: Span[] = [];
  if (isDamaged(entry)) {
    all.push({ text: 'damaged', format: 'red' });
  }
  if (suspicious) {
    all.push({ text: 'suspicious', format: 'yellow' });
  }
  if (isPinned(entry)) {
    all.push('pinned');
  }
  if (encryption.scheme !== 'none') {
    all.push(encryption.scheme);
  }
  if (warnings.length > 0) {
    const text = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`;
    all.push({ text, format: 'yellow' });
  }
  return all.flatMap((span, index) => (index === 0 ? [span] : [', ', span]));
}
