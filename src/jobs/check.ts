import type { ConfigProblem } from '../core/discovery.ts';
import { checkDestination } from './check-destination.ts';
import { checkDirectory } from './check-directory.ts';
import { checkDocker } from './check-docker.ts';
import { checkKeys } from './check-keys.ts';
import { good, type Check } from './check-result.ts';
import { checkSource, checkUnsaved } from './check-sources.ts';
import type { App, Discovery } from './context.ts';
import { collectProblems } from './status.ts';

export interface CheckRequest {
  /** How long a connection to Docker is left quiet, to see whether it is cut; 0: not at all. */
  readonly silenceMs: number;
}

export interface CheckReport {
  /** Whether every check is. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

/**
 * Looks whether everything is in place for backups to succeed, side by side; leaves nothing behind. Only a cancellation
 * throws.
 */
export async function check(
  { silenceMs }: CheckRequest,
  app: App,
  signal: AbortSignal,
): Promise<CheckReport> {
  const discovery = await app.discover(signal);
  const { destinations } = app.context;
  const [docker, unsaved, keys, directory, sources, copies] = await Promise.all([
    checkDocker(app, discovery, silenceMs, signal),
    checkUnsaved(app, discovery, signal),
    checkKeys(app.context.keys, signal),
    checkDirectory(app, discovery),
    Promise.all(discovery.sources.map((bound) => checkSource(bound, app, signal))),
    Promise.all(
      (app.storageFailure === null ? destinations : []).map((each) =>
        checkDestination(each, app.context, signal),
      ),
    ),
  ]);
  signal.throwIfAborted();
  const checks = [
    ...checkConfiguration(collectProblems(app, discovery)),
    ...docker,
    ...checkAnySource(discovery),
    ...sources.flat(),
    ...unsaved,
    ...keys,
    ...directory,
    ...copies.flat(),
  ];
  return { ok: checks.every(({ ok }) => ok), checks };
}

/** Unlike `status` this minds a mistyped option too: whoever runs it wants to know whether all is as meant. */
function checkConfiguration(problems: readonly ConfigProblem[]): readonly Check[] {
  if (problems.length === 0) {
    return [good('configuration', 'options', 'every option has a valid value')];
  }
  return problems.map(({ option, message, hint }) => ({
    name: 'configuration',
    subject: option,
    ok: false,
    message,
    hint: hint ?? 'Correct the value; docs/configuration.md describes every option.',
  }));
}

function checkAnySource({ sources, docker, problems }: Discovery): readonly Check[] {
  // Where Docker does not answer it is not known which sources there are.
  if (sources.length > 0 || docker !== null) {
    return [];
  }
  const isHeldBack = problems.some(({ severity }) => severity === 'source');
  return [
    {
      name: 'sources',
      subject: 'sources',
      ok: false,
      message: isHeldBack
        ? 'no source can be backed up, every one has a problem'
        : 'there is no source, so nothing is backed up',
      hint: isHeldBack
        ? 'Solve the problems of the sources above.'
        : 'Put the label backupd.enable=true on the container of a database. It is found when it belongs to the compose project of backupd; BACKUPD_DISCOVER=host looks further, BACKUPD_SOURCES needs no labels.',
    },
  ];
}
