import { quoteIdent, renameDatabaseIn, splitStatements, leadingWords } from './sql.ts';
import type { TocEntry } from './toc.ts';

/** What an archive says of the database itself: how to create it and what it is like afterwards. */
export interface DatabaseProperties {
  readonly create: string;
  readonly owner: string;
  /** ALTER DATABASE, COMMENT, GRANT, REVOKE, ALTER ROLE ... IN DATABASE: run with the swap. */
  readonly properties: readonly string[];
}

const ABOUT_DATABASE = new Set(['ACL', 'COMMENT', 'SECURITY LABEL']);

/** Finds the database's own entries: pg_dump writes them into every archive, though `pg_restore --list` hides some. */
export function databaseProperties(entries: readonly TocEntry[]): DatabaseProperties | null {
  const database = entries.find((entry) => entry.desc === 'DATABASE');
  if (database === undefined) {
    return null;
  }
  const properties = entries
    .filter(
      (entry) =>
        entry.desc === 'DATABASE PROPERTIES' ||
        (ABOUT_DATABASE.has(entry.desc) && entry.tag.startsWith('DATABASE ')),
    )
    .flatMap((entry) => splitStatements(entry.defn));
  return { create: splitStatements(database.defn)[0] ?? '', owner: database.owner, properties };
}

/** Clauses that name what another server may not have; the database is then made without them. */
const TABLESPACE = / TABLESPACE = (?:"(?:[^"]|"")*"|\w+)/;
const COLLATION_VERSION = / COLLATION_VERSION = '(?:[^']|'')*'/;

/** CREATE DATABASE under another name, from template0 so that nothing of template1 gets in. */
export function createStatement(
  properties: DatabaseProperties,
  name: string,
  tablespaces: ReadonlySet<string>,
): string {
  let statement = renameDatabaseIn(properties.create, name).replace(COLLATION_VERSION, '');
  const tablespace = TABLESPACE.exec(statement)?.[0];
  if (tablespace !== undefined && !tablespaces.has(tablespaceName(tablespace))) {
    statement = statement.replace(tablespace, '');
  }
  return statement;
}

function tablespaceName(clause: string): string {
  const written = clause.slice(' TABLESPACE = '.length);
  return written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written;
}

/**
 * The statements that make a database what the archive says, under the name it gets.
 * Whether it accepts connections and how many is left to the end by the caller's order: they are run inside the swap.
 */
export function propertyStatements(
  properties: DatabaseProperties,
  name: string,
): readonly string[] {
  const owner = `ALTER DATABASE ${quoteIdent(name)} OWNER TO ${quoteIdent(properties.owner)};`;
  return [
    ...(properties.owner === '' ? [] : [owner]),
    ...properties.properties
      .filter(isTransactional)
      .map((statement) => renameDatabaseIn(statement, name)),
  ];
}

/** A tablespace cannot change inside a transaction, and the database was created in the right one. */
function isTransactional(statement: string): boolean {
  const words = leadingWords(statement, 5);
  return !(
    words[0] === 'ALTER' &&
    words[1] === 'DATABASE' &&
    words[3] === 'SET' &&
    words[4] === 'TABLESPACE'
  );
}
