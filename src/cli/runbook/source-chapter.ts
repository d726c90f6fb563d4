import { formatDuration } from '../../core/duration.ts';
import { specName } from '../../core/job.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { Runbook, RunbookDestination, RunbookSource } from '../../jobs/runbook.ts';
import { formatInstant, formatOptionalSize } from '../format.ts';
import { emptyTarget } from './empty-target.ts';
import { block, code, quote, table, type Block } from './markdown.ts';
import { elsewhere, keyOption, placesOf, targetOf } from './places.ts';
import { loadCommands } from './stock-tools.ts';

/** How one source is restored. */
export function sourceChapter(source: RunbookSource, runbook: Runbook): readonly Block[] {
  const { status, latest, takenFrom } = source;
  return [
    `## ${status.source}`,
    facts(source),
    ...(latest === null
      ? nothingHere(status.source, runbook)
      : [
          ...(takenFrom === null
            ? []
            : [
                `**What is here of it is damaged.** backupd takes the copy at ${takenFrom} by itself; with stock tools alone take the folder from there.`,
              ]),
          ...here(status.source, latest, runbook),
          ...beside(status.source, latest, runbook),
          ...runbook.destinations.flatMap((each) => fromThere(source, latest, each, runbook)),
          ...stockTools(status.source, latest, runbook),
        ]),
  ];
}

function nothingHere(source: string, runbook: Runbook): readonly Block[] {
  const { container } = placesOf(runbook);
  const lists = runbook.destinations.map(
    ({ settings: { name } }) => `docker exec ${container} backupd list ${source} --from ${name}`,
  );
  return [
    'There is no good backup of it here.',
    ...(lists.length === 0
      ? []
      : [
          'Whether there is one elsewhere, and then `restore` with the same `--from`:',
          block('sh', lists),
        ]),
  ];
}

function facts({ status, job, latest, takenFrom }: RunbookSource): Block {
  const rows = [
    ['What', `${status.engine ?? 'not known'}, ${where({ job, latest })}`],
    ['Databases', latest === null ? '-' : latest.databases.map((name) => code(name)).join(', ')],
    [
      'Last good backup',
      latest === null
        ? 'none'
        : takenFrom === null
          ? `${code(latest.id)}, ${formatInstant(status.lastSuccessAt)}, ${formatOptionalSize(status.sizeBytes)}`
          : `${code(latest.id)}, ${formatInstant(latest.finishedAt)}, whole at ${takenFrom} only`,
    ],
    ['Next backup', formatInstant(status.nextRunAt)],
    [
      'Copies',
      status.copies.map(({ destination, state }) => `${destination} (${state})`).join(', ') ||
        'nowhere but here',
    ],
    ['Last restore test', drilled(status)],
    ['Oldest it may get', maxAge(status)],
  ];
  return table(['', ''], rows);
}

function where({ job, latest }: Pick<RunbookSource, 'job' | 'latest'>): string {
  const name = job === null ? (latest === null ? null : targetOf(latest)) : specName(job.target);
  const gone = job === null ? ' (not there when this was written)' : '';
  return name === null ? 'gone' : `in ${code(name)}${gone}`;
}

function drilled({ lastDrill }: RunbookSource['status']): string {
  if (lastDrill === null) {
    return 'never';
  }
  const { at, ok, recoveryMs, integrity } = lastDrill;
  const took = recoveryMs === null ? '' : `, took ${formatDuration(recoveryMs)}`;
  const compared = ok && integrity === null ? ', nothing compared' : '';
  return `${formatInstant(at)}, ${ok ? 'passed' : '**failed**'}${compared}${took}`;
}

function maxAge({ maxAgeSeconds }: RunbookSource['status']): string {
  return maxAgeSeconds === null ? 'no limit' : formatDuration(maxAgeSeconds * 1000);
}

function here(source: string, latest: Manifest, runbook: Runbook): readonly Block[] {
  const { container } = placesOf(runbook);
  const key = keyOption(latest);
  return [
    `### ${source}: here`,
    'What would happen, then the restore. What is there now is kept.',
    block('sh', [
      `docker exec${key} ${container} restore ${source} --dry-run`,
      `docker exec -it${key} ${container} restore ${source}`,
    ]),
    'The way back, if it was a mistake:',
    block('sh', [`docker exec ${container} restore ${source} --undo`]),
  ];
}

function beside(source: string, latest: Manifest, runbook: Runbook): readonly Block[] {
  const { container } = placesOf(runbook);
  const { name, start } = emptyTarget(source, latest, 'look');
  return [
    `### ${source}: beside, into an empty one`,
    block('sh', [
      ...start,
      `docker exec -it${keyOption(latest)} ${container} restore ${source} --into ${name}`,
    ]),
  ];
}

function fromThere(
  { status: { source } }: RunbookSource,
  latest: Manifest,
  destination: RunbookDestination,
  runbook: Runbook,
): readonly Block[] {
  const places = placesOf(runbook);
  const there = destination.settings.name;
  const { name, start } = emptyTarget(source, latest, there);
  const run = elsewhere(destination, places, runbook, keyOption(latest));
  return [
    `### ${source}: on another host, from ${there}`,
    `With the file \`${there}.env\` of [above](#destination-${there}).`,
    block('sh', [
      `${elsewhere(destination, places, runbook)} list ${source} --from ${there}`,
      ...start,
      `${run} restore ${source} --from ${there} --into ${name}`,
    ]),
  ];
}

function stockTools(source: string, latest: Manifest, runbook: Runbook): readonly Block[] {
  const { backups } = placesOf(runbook);
  const { name, start } = emptyTarget(source, latest, 'stock');
  const variable = latest.engine === 'volume' ? 'VOLUME' : 'DB';
  const { scheme } = latest.encryption;
  const tools = ['docker', 'zstd', ...(scheme === 'none' ? [] : [scheme])];
  return [
    `### ${source}: with stock tools alone`,
    `No backupd, only ${tools.join(', ')}. Into an **empty** ${latest.engine === 'volume' ? 'volume' : 'server'}. For another backup put its id into the first line. From a destination: fetch the folder \`${runbook.namespace}/${source}/ID\` into this one with any client, and leave out the line that begins with \`docker run --rm\`.${KEY_FILE[scheme]}`,
    block('sh', [
      `ID=${latest.id}`,
      `${variable}=${name}`,
      `docker run --rm -v ${backups}:/backups:ro -v "$PWD":/out debian:trixie-slim sh -c "cp -r /backups/${source}/$ID /out && chown -R $(id -u):$(id -g) /out/$ID"`,
      ...start,
      'cd $ID',
      `sha256sum ${latest.files.map((file) => quote(file.name)).join(' ')}`,
      'grep sha256 manifest.json',
      ...(scheme === 'gpg' ? ['gpg --import ../backupd-secret.asc'] : []),
      ...loadCommands(latest),
      'cd ..',
    ]),
  ];
}

/** Where the commands look for the secret key. */
const KEY_FILE: Readonly<Record<Manifest['encryption']['scheme'], string>> = {
  none: '',
  age: ' The secret key is in `backupd-key.txt`, in the folder where you begin.',
  gpg: ' The secret key is in `backupd-secret.asc`, in the folder where you begin.',
};
