import { BackupdError, type Failure } from '../core/errors.ts';
import type { BoundSource, Discovery } from '../jobs/context.ts';

/** A source to back up, or why it cannot be. */
export type Chosen =
  | { readonly source: string; readonly bound: BoundSource }
  | { readonly source: string; readonly failure: Failure };

/**
 * The sources that a backup is asked for, in that order; all where none is named. One whose configuration is wrong is
 * among them as a failure: it was meant to be backed up.
 * @throws BackupdError `source-not-found` naming what there is, `config-invalid` where there is nothing to back up, and
 * the failure of Docker where that may be why
 */
export function chooseSources(
  names: readonly string[],
  { sources, problems, docker }: Discovery,
): readonly Chosen[] {
  const known = new Map<string, Chosen>();
  for (const { source, option, message, hint, severity } of problems) {
    if (source !== null && severity === 'source' && !known.has(source)) {
      known.set(source, {
        source,
        failure: { code: 'config-invalid', message: `${option}: ${message}`, hint },
      });
    }
  }
  for (const bound of sources) {
    known.set(bound.job.source, { source: bound.job.source, bound });
  }
  const unknown = names.filter((name) => !known.has(name));
  if (docker !== null && (unknown.length > 0 || names.length === 0)) {
    throw asError(docker);
  }
  if (unknown.length > 0) {
    throw unknownSources(unknown, [...known.keys()]);
  }
  if (known.size === 0) {
    throw new BackupdError('config-invalid', 'there is no source to back up', {
      hint: 'Put the label backupd.enable=true on a database container of this compose project, or set BACKUPD_SOURCES.',
    });
  }
  const wanted = names.length === 0 ? [...known.keys()].toSorted() : names;
  return wanted.flatMap((name) => known.get(name) ?? []);
}

function unknownSources(unknown: readonly string[], known: readonly string[]): BackupdError {
  const quoted = unknown.map((name) => `"${name}"`).join(', ');
  return new BackupdError(
    'source-not-found',
    unknown.length === 1 ? `there is no source ${quoted}` : `there are no sources ${quoted}`,
    {
      hint:
        known.length === 0
          ? 'There is none at all. Put the label backupd.enable=true on a database container, or set BACKUPD_SOURCES.'
          : `There are: ${known.toSorted().join(', ')}.`,
    },
  );
}

function asError({ code, message, hint }: Failure): BackupdError {
  return new BackupdError(code, message, hint === null ? {} : { hint });
}
