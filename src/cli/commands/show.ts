import { formatDuration } from '../../core/duration.ts';
import {
  dumpBytes,
  storedBytes,
  type Encryption,
  type HaltReport,
  type HookReport,
  type Manifest,
  type TargetFacts,
} from '../../core/manifest.ts';
import type { Receipt } from '../../core/catalog-entry.ts';
import type { App } from '../../jobs/context.ts';
import { showBackup } from '../../jobs/show.ts';
import type { CommandOf } from '../arguments.ts';
import { formatAge, formatInstant, formatOptionalSize, formatSize } from '../format.ts';
import { warningLine, type Output } from '../output.ts';
import { fieldLines, tableLines } from '../table.ts';
import type { Line } from '../text.ts';

/** `show`: everything that is known of one backup. */
export async function showCommand(
  { id }: CommandOf<'show'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const { manifest, receipts } = await showBackup(id, app, signal);
  out.printJson({ ...manifest, receipts });
  out.print(...backupLines(manifest, receipts, Date.now()));
  return 0;
}

function backupLines(
  manifest: Manifest,
  receipts: readonly Receipt[],
  nowMs: number,
): readonly Line[] {
  const { startedAt, target, facts, encryption } = manifest;
  return [
    ...fieldLines([
      ['id', { text: manifest.id, format: 'bold' }],
      ['source', `${manifest.source} (${manifest.engine}), namespace ${manifest.namespace}`],
      ['kind', `${manifest.kind}, ${manifest.trigger}`],
      ['begun', `${formatInstant(startedAt)}, ${formatAge(startedAt, nowMs)} ago`],
      ['finished', formatInstant(manifest.finishedAt)],
      ['size', `${formatSize(storedBytes(manifest))} (${formatSize(dumpBytes(manifest))} dumped)`],
      targetField(target),
      'container' in target
        ? ['server', `${facts.serverVersion}, dumped by ${manifest.toolVersion}`]
        : ['dumped by', manifest.toolVersion],
      ['encryption', describeEncryption(encryption)],
      ['made by', `backupd ${manifest.backupdVersion}`],
    ]),
    ...(manifest.suspicious
      ? [warningLine('suspicious: never "latest", restored by its id only')]
      : []),
    ...manifest.warnings.map(({ message }) => warningLine(message)),
    ...(manifest.hooks ?? []).map((hook) => hookLine(hook)),
    ...(manifest.halts ?? []).map((halt) => haltLine(halt)),
    '',
    ...fileTable(manifest),
    '',
    ...factTable(manifest),
    ...(receipts.length === 0 ? [] : ['', ...receipts.map((receipt) => receiptLine(receipt))]),
  ];
}

function describeEncryption({ scheme, keyIds }: Encryption): string {
  return scheme === 'none' ? scheme : `${scheme}, for ${keyIds.join(', ')}`;
}

function targetField(target: TargetFacts): readonly [string, string] {
  if ('container' in target) {
    return ['container', `${target.container}, image ${target.image}`];
  }
  return target.made === null
    ? ['directory', target.volume]
    : ['volume', `${target.volume}, driver ${target.made.driver}`];
}

function hookLine({ when, exitCode, durationMs, output }: HookReport): Line {
  const ended = exitCode === null ? 'could not be run' : `exited with ${exitCode}`;
  const said = output.split('\n').at(-1) ?? '';
  return `command ${when} the backup ${ended} after ${formatDuration(durationMs)}${said === '' ? '' : `: ${said}`}`;
}

function haltLine({ container, how, durationMs }: HaltReport): Line {
  return `container ${container} was ${how === 'stop' ? 'stopped' : 'paused'} for ${formatDuration(durationMs)}`;
}

function fileTable({ files }: Manifest): readonly Line[] {
  return tableLines(
    [
      { title: 'FILE' },
      { title: 'STORED', align: 'right' },
      { title: 'DUMPED', align: 'right' },
      { title: 'SHA-256' },
    ],
    files.map((file) => [
      file.name,
      formatSize(file.storedBytes),
      formatSize(file.dumpBytes),
      file.sha256,
    ]),
  );
}

function factTable({ engine, databases, facts }: Manifest): readonly Line[] {
  if (engine === 'volume') {
    return volumeTable({ databases, facts });
  }
  return tableLines(
    [
      { title: 'DATABASE' },
      { title: 'SIZE', align: 'right' },
      { title: 'TABLES', align: 'right' },
      { title: 'ROWS', align: 'right' },
    ],
    databases.map((name) => {
      const known = facts.databases[name];
      const tables = Object.values(known?.tables ?? {});
      const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
      const exact = tables.every((table) => table.exact);
      return [
        name,
        formatOptionalSize(known?.sizeBytes ?? null),
        known === undefined ? '-' : String(tables.length),
        known === undefined ? '-' : `${exact ? '' : 'about '}${rows}`,
      ];
    }),
  );
}

function volumeTable({ databases, facts }: Pick<Manifest, 'databases' | 'facts'>): readonly Line[] {
  return tableLines(
    [
      { title: 'VOLUME' },
      { title: 'SIZE', align: 'right' },
      { title: 'ENTRIES', align: 'right' },
      { title: 'DIGEST' },
    ],
    databases.map((name) => {
      const { sizeBytes = null, objects = {}, digest = '-' } = facts.databases[name] ?? {};
      return [name, formatOptionalSize(sizeBytes), String(objects['entries'] ?? '-'), digest];
    }),
  );
}

function receiptLine(receipt: Receipt): Line {
  const at = formatInstant(receipt.at);
  switch (receipt.type) {
    case 'damaged':
      return [{ text: 'damaged', format: 'red' }, ` ${at}: ${receipt.message}`];
    case 'verified':
      return `verified (${receipt.depth}) ${at}`;
    case 'uploaded':
      return `uploaded to ${receipt.destination} ${at}`;
    case 'sampled':
      return `read back at ${receipt.destination} (${receipt.depth}) ${at}`;
    case 'lost':
      return [
        { text: 'lost', format: 'red' },
        ` at ${receipt.destination} ${at}: ${receipt.message}`,
      ];
    case 'removed':
      return `removed at ${receipt.destination} by retention ${at}`;
    case 'drilled':
      return receipt.ok
        ? `passed a drill ${at}`
        : [{ text: 'failed a drill', format: 'red' }, ` ${at}`];
    case 'pinned':
    case 'unpinned':
      return `${receipt.type} ${at}`;
    default:
      // Of a newer backupd.
      return `${(receipt as Receipt).type} ${at}`;
  }
}
