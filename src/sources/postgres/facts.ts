import type { DatabaseFacts, TableFact } from '../../core/facts.ts';
import type { FactsDepth } from '../../core/source.ts';
import type { Session } from './session.ts';
import { quoteIdent } from './sql.ts';

/** How long exact counting of one database may take; the tables left after it get the server's estimate. */
export const COUNT_BUDGET_MS = 60_000;

/** Tables that are counted between two looks at the clock. */
const BATCH = 50;

interface TableRow {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly estimate: number;
  readonly unlogged: boolean;
}

/** Objects an extension owns come with the extension, not from the dump. */
function notOfExtension(catalog: string, oid: string): string {
  return `not exists (select from pg_depend e where e.classid = '${catalog}'::regclass and e.objid = ${oid} and e.deptype = 'e')`;
}

const USER_SCHEMAS = `n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'`;

/** Ordinary tables and partitions with rows of their own; foreign tables would connect elsewhere and are left out. */
const TABLES_SQL = `
select json_build_object('oid', c.oid::text, 'schema', n.nspname, 'name', c.relname,
  'estimate', greatest(c.reltuples, 0)::bigint, 'unlogged', c.relpersistence = 'u')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't' and ${USER_SCHEMAS} and ${notOfExtension('pg_class', 'c.oid')}
order by n.nspname, c.relname`;

function countRelations(kinds: string): string {
  return `(select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in (${kinds}) and c.relpersistence <> 't' and ${USER_SCHEMAS} and ${notOfExtension('pg_class', 'c.oid')})`;
}

const OBJECTS_SQL = `
select json_build_object(
  'views', ${countRelations("'v'")}, 'materialized views', ${countRelations("'m'")},
  'partitioned tables', ${countRelations("'p'")}, 'foreign tables', ${countRelations("'f'")},
  'indexes', ${countRelations("'i', 'I'")},
  'schemas', (select count(*) from pg_namespace n where ${USER_SCHEMAS} and ${notOfExtension('pg_namespace', 'n.oid')}),
  'functions', (select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where ${USER_SCHEMAS} and ${notOfExtension('pg_proc', 'p.oid')}),
  'types', (select count(*) from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where t.typtype in ('d', 'e', 'r', 'm') and ${USER_SCHEMAS} and ${notOfExtension('pg_type', 't.oid')}),
  'triggers', (select count(*) from pg_trigger t where not t.tgisinternal and t.tgparentid = 0),
  'policies', (select count(*) from pg_policy),
  'event triggers', (select count(*) from pg_event_trigger t where ${notOfExtension('pg_event_trigger', 't.oid')}),
  'extensions', (select count(*) from pg_extension),
  'publications', (select count(*) from pg_publication),
  'large objects', (select count(*) from pg_largeobject_metadata))`;

export interface Counting {
  readonly depth: FactsDepth;
  /** How long exact counting may take. */
  readonly budgetMs: number;
}

/** Reads what can be counted of a database in the transaction that the session holds, without sequences: these are not MVCC. */
export async function readFacts(
  session: Session,
  { depth, budgetMs }: Counting,
): Promise<DatabaseFacts> {
  const sizeBytes = Number((await session.run('select pg_database_size(current_database())'))[0]);
  if (depth === 'off') {
    return { sizeBytes, tables: {}, sequences: {}, objects: {} };
  }
  const [objects] = await session.run(OBJECTS_SQL);
  const rows = (await session.run(TABLES_SQL)).map((line) => JSON.parse(line) as TableRow);
  const [standby] = await session.run('select pg_is_in_recovery()');
  const countable = rows.filter((row) => standby === 'f' || !row.unlogged);
  const counted =
    depth === 'exact' ? await countTables(session, countable, budgetMs) : new Map<string, number>();
  const rewritten = new Set(await rewrittenTables(session));
  const tables: Record<string, TableFact> = {};
  for (const row of rows) {
    const count = counted.get(row.oid);
    const exact = count !== undefined && !rewritten.has(row.oid);
    tables[qualifiedName(row)] = { rows: exact ? count : unknownRows(row, rewritten), exact };
  }
  return {
    sizeBytes,
    tables,
    sequences: {},
    objects: JSON.parse(objects ?? '{}') as Record<string, number>,
  };
}

function unknownRows(row: TableRow, rewritten: ReadonlySet<string>): number | null {
  return rewritten.has(row.oid) ? null : row.estimate;
}

/** The name as pg_dump writes it: quoted only where it must be. */
export function qualifiedName(row: { readonly schema: string; readonly name: string }): string {
  return `${identIfNeeded(row.schema)}.${identIfNeeded(row.name)}`;
}

function identIfNeeded(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoteIdent(name);
}

/** Exact rows by OID, as many as the time allows, small tables first. */
async function countTables(
  session: Session,
  rows: readonly TableRow[],
  budgetMs: number,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  const endsAt = performance.now() + budgetMs;
  const bySize = rows.toSorted((one, other) => one.estimate - other.estimate);
  for (let from = 0; from < bySize.length; from += BATCH) {
    const leftMs = endsAt - performance.now();
    if (leftMs <= 0) {
      break;
    }
    for (const line of await countBatch(session, bySize.slice(from, from + BATCH), leftMs)) {
      const [oid, count] = JSON.parse(line) as [string, number];
      counts.set(oid, count);
    }
  }
  return counts;
}

/**
 * A savepoint for each count gives its locks back, else thousands of tables exhaust the server's lock table and pg_dump
 * itself dies; it also survives a table that cannot be counted. What is left of the time is reckoned before each count:
 * fifty large tables in a batch must not take it fifty times.
 */
async function countBatch(
  session: Session,
  rows: readonly TableRow[],
  leftMs: number,
): Promise<readonly string[]> {
  const isLimited = Number.isFinite(leftMs);
  const nowMs = 'extract(epoch from clock_timestamp()) * 1000';
  const statements = rows.map(({ oid, schema, name }) => [
    ...(isLimited ? [`select greatest(1, :until - ${nowMs})::bigint as left_ms \\gset`] : []),
    'savepoint counting;',
    ...(isLimited ? ['set local statement_timeout = :left_ms;'] : []),
    `select json_build_array('${oid}', count(*)) from only ${quoteIdent(schema)}.${quoteIdent(name)};`,
    'rollback to savepoint counting;',
  ]);
  const begin = isLimited ? [`select ${nowMs} + ${Math.ceil(leftMs)} as until \\gset`] : [];
  return session.run([...begin, ...statements.flat()].join('\n'));
}

/** OIDs of tables whose storage was replaced after this transaction's snapshot: by TRUNCATE or a rewriting ALTER, seen as empty or unknown. */
export async function rewrittenTables(session: Session): Promise<readonly string[]> {
  return session.run(`select oid from pg_class where relkind = 'r' and relfilenode <> 0
    and relpersistence <> 't' and relfilenode is distinct from pg_relation_filenode(oid)`);
}

/** Values of all sequences by name, as the archive's reader writes them. Only for a database that nobody writes to. */
export async function readSequences(session: Session): Promise<Readonly<Record<string, string>>> {
  const names = (
    await session.run(`select json_build_object('schema', n.nspname, 'name', c.relname)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'S' and ${USER_SCHEMAS} and ${notOfExtension('pg_class', 'c.oid')}`)
  ).map((line) => JSON.parse(line) as { schema: string; name: string });
  const values: Record<string, string> = {};
  for (let from = 0; from < names.length; from += BATCH) {
    const batch = names.slice(from, from + BATCH);
    const selects = batch.map(
      ({ schema, name }) =>
        `select json_build_array(last_value::text, is_called) from ${quoteIdent(schema)}.${quoteIdent(name)}`,
    );
    const lines = await session.run(selects.join(' union all\n'));
    for (const [index, row] of batch.entries()) {
      const [value, isCalled] = JSON.parse(lines[index] ?? '[]') as [string, boolean];
      values[qualifiedName(row)] = isCalled ? value : `${value} (not called)`;
    }
  }
  return values;
}
