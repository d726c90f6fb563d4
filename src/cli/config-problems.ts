import { variablesOf } from '../core/destination-settings.ts';
import type { ConfigProblem } from '../core/discovery.ts';
import { BackupdError } from '../core/errors.ts';

/**
 * Refuses to begin with a configuration that is wrong in what the command uses.
 * @param needs variables; null: any
 * @throws BackupdError `config-invalid` with every problem, not only the first
 */
export function checkProblems(
  problems: readonly ConfigProblem[],
  needs: readonly string[] | null,
): void {
  const fatal = problems.filter(
    (problem) => problem.severity === 'fatal' && (needs === null || concerns(problem, needs)),
  );
  if (fatal.length === 0) {
    return;
  }
  // What is merely said otherwise may be why: a mistyped name of an option that is missed.
  const said = problems.filter(({ severity }) => severity === 'loud');
  const lines = [...fatal, ...said].map(({ option, message, hint }) => {
    const more = hint === null ? '' : ` (${hint})`;
    return `${option}: ${message}${more}`;
  });
  throw new BackupdError(
    'config-invalid',
    lines.length === 1
      ? (lines[0] ?? '')
      : [`${lines.length} options are wrong`, ...lines].join('\n'),
    { hint: 'Run "backupd config" to see every option and where its value comes from.' },
  );
}

/**
 * The needs of what reads from a destination: its variables (`BACKUPD_S3_*`), its entry in the file (`destinations.s3.*`),
 * and the list of the names.
 */
export function destinationNeeds(name: string): readonly string[] {
  return [`${variablesOf(name)}*`, `destinations.${name}.*`, 'BACKUPD_DESTINATIONS'];
}

/** `BACKUPD_AGE_IDENTITY` as a key of the configuration file. */
function inFile(variable: string): string {
  return variable
    .slice('BACKUPD_'.length)
    .toLowerCase()
    .replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Whether a problem is about one of these variables, also where its value stands in a file: `dir in /etc/backupd.yml`. */
function concerns({ option }: ConfigProblem, needs: readonly string[]): boolean {
  const [name = ''] = option.split(' ');
  return needs.some(
    (need) =>
      name === need ||
      (need.endsWith('*') && name.startsWith(need.slice(0, -1))) ||
      name === `${need}_FILE` ||
      name === inFile(need),
  );
}
