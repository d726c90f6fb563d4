import { BackupdError } from '../core/errors.ts';

/** Which databases of a server belong to a source. */
export interface DatabaseChoice {
  /** Null: all. */
  readonly databases: readonly string[] | null;
  readonly exclude: readonly string[];
}

/**
 * The databases that a source is of.
 * @throws BackupdError `dump-failed` where one that is named is not there
 */
export function chooseDatabases<Row extends { readonly name: string }>(
  rows: readonly Row[],
  { databases, exclude }: DatabaseChoice,
  container: string,
): readonly Row[] {
  const missing = (databases ?? []).filter((name) => !rows.some((row) => row.name === name));
  if (missing.length > 0) {
    throw new BackupdError(
      'dump-failed',
      `the server in "${container}" has no database ${missing.map((name) => `"${name}"`).join(', ')}`,
      { hint: 'Check backupd.databases of this source.' },
    );
  }
  return rows.filter(({ name }) => (databases?.includes(name) ?? true) && !exclude.includes(name));
}

/** A backup of nothing is no success. @throws BackupdError `dump-failed` */
export function refuseNone(dumped: readonly unknown[], container: string): void {
  if (dumped.length === 0) {
    throw new BackupdError(
      'dump-failed',
      `no database of the server in "${container}" is left to be dumped`,
      {
        hint: 'Check backupd.databases and backupd.exclude of this source: together they leave nothing, or only what cannot be dumped.',
      },
    );
  }
}
