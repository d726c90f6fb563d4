import type { Runbook, RunbookDestination } from '../../jobs/runbook.ts';
import { formatInstant, formatOptionalSize } from '../format.ts';
import { alarmChapter } from './alarm-chapter.ts';
import { block, code, joinBlocks, table, type Block } from './markdown.ts';
import { placesOf, variablesFor } from './places.ts';
import { sourceChapter } from './source-chapter.ts';

/** The runbook as Markdown. */
export function runbookText(runbook: Runbook): string {
  return joinBlocks([
    `# Runbook: how to restore ${runbook.namespace}`,
    `Written ${formatInstant(runbook.at)} by backupd ${runbook.version}. Print it and keep it where this host is not. Write it anew after every change: \`docker exec ${placesOf(runbook).container} backupd runbook > runbook.md\`.`,
    ...firstThings(runbook),
    ...overview(runbook),
    ...places(runbook),
    ...runbook.destinations.flatMap((each) => destinationChapter(each, runbook)),
    ...runbook.sources.flatMap((source) => sourceChapter(source, runbook)),
    ...alarmChapter(runbook),
  ]);
}

function firstThings(runbook: Runbook): readonly Block[] {
  const { container } = placesOf(runbook);
  return [
    '## First',
    '1. A restore destroys nothing: what is there now is kept, and `--undo` brings it back.\n2. Delete nothing. No volume, no container, no backup.\n3. If the application writes wrong data, stop it. The database itself must run.',
    'How everything stands:',
    block('sh', [
      `docker exec ${container} backupd status`,
      `docker exec ${container} backupd list`,
    ]),
  ];
}

function overview({ sources }: Runbook): readonly Block[] {
  if (sources.length === 0) {
    return ['**There is no source: nothing is backed up.**'];
  }
  return [
    '## What there is',
    table(
      ['source', 'engine', 'state', 'last good backup', 'size', 'copies', 'restore tested'],
      sources.map(({ status }) => [
        status.source,
        status.engine ?? '-',
        status.state,
        formatInstant(status.lastSuccessAt),
        formatOptionalSize(status.sizeBytes),
        status.copies.map(({ destination }) => destination).join(', ') || '-',
        status.lastDrill === null ? 'never' : formatInstant(status.lastDrill.at),
      ]),
    ),
  ];
}

function places(runbook: Runbook): readonly Block[] {
  const { container, image, backups } = placesOf(runbook);
  const schemes = new Map(
    runbook.sources.flatMap(({ latest }) =>
      latest === null || latest.encryption.scheme === 'none'
        ? []
        : [[latest.encryption.scheme, latest.encryption.keyIds] as const],
    ),
  );
  const rows = [
    ['Container of backupd', code(container)],
    ['Its image', code(image)],
    ['Backups on this host', `${code(backups)}, in the container ${code(runbook.dir)}`],
    ['Namespace', code(runbook.namespace)],
    ...[...schemes].map(([scheme, keyIds]) => [
      `Encrypted with ${scheme}`,
      `for ${keyIds.map((id) => code(id)).join(', ')}. The secret key is kept at: ______________________`,
    ]),
  ];
  return [
    '## Where everything is',
    table(['', ''], rows),
    ...(schemes.has('age')
      ? [
          'Before a command that reads what is encrypted, in the same shell:',
          block('text', ['export BACKUPD_AGE_IDENTITY="$(cat backupd-key.txt)"']),
        ]
      : []),
    ...(schemes.has('gpg')
      ? [
          'Before a command that reads what is encrypted, in the same shell:',
          block('text', ['export BACKUPD_GPG_SECRET_KEY="$(cat backupd-secret.asc)"']),
          'And where a passphrase protects it (nothing is shown while you type it):',
          block('text', ['read -rs BACKUPD_GPG_PASSPHRASE; export BACKUPD_GPG_PASSPHRASE']),
        ]
      : []),
  ];
}

function destinationChapter(destination: RunbookDestination, runbook: Runbook): readonly Block[] {
  const { settings, status } = destination;
  const { name, place } = settings;
  const where =
    place.kind === 'directory'
      ? `The directory ${code(place.path)} of the container.`
      : `The bucket ${code(place.bucket)} at ${place.endpoint === null ? 'AWS' : code(place.endpoint)}. Its keys are kept at: ______________________`;
  const state =
    status === null
      ? ''
      : ` When this was written: ${status.state}, last upload ${formatInstant(status.lastSuccessAt)}.`;
  return [
    `## Destination ${name}`,
    `${where}${state}`,
    `On another host it takes Docker, the image ${code(placesOf(runbook).image)} and a file \`${name}.env\`, which only you can read. What is empty here is a secret, and to be filled in:`,
    block('ini', variablesFor(destination, runbook.namespace)),
  ];
}
