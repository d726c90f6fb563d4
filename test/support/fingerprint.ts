import type { Postgres } from './postgres.ts';

/**
 * What a PostgreSQL server holds, to be compared with `toEqual` before and after. Independent of what backupd records:
 * asked with other means, and of everything, not of what a restore is known to bring back.
 */
export interface ServerFingerprint {
  readonly roles: readonly unknown[];
  readonly memberships: readonly unknown[];
  readonly tablespaces: readonly unknown[];
  readonly databases: Readonly<Record<string, DatabaseFingerprint>>;
}

export interface DatabaseFingerprint {
  /** Owner, encoding, locale, privileges, limits, settings, comment. */
  readonly properties: readonly unknown[];
  /** What `pg_dump --schema-only` writes, with owners and privileges, entry by entry. */
  readonly schema: readonly string[];
  readonly tables: readonly unknown[];
  readonly sequences: readonly unknown[];
  readonly largeObjects: readonly unknown[];
}

/** Everything but template0, template1 and what a restore kept (its name contains `_before_`). */
export async function fingerprintServer(server: Postgres): Promise<ServerFingerprint> {
  const { names, ...shared } = await ask(server, server.database, {
    names: NAMES,
    roles: ROLES,
    memberships: MEMBERSHIPS,
    tablespaces: TABLESPACES,
  });
  const databases: Record<string, DatabaseFingerprint> = {};
  for (const name of names as string[]) {
    databases[name] = await fingerprintDatabase(server, name);
  }
  return { ...shared, databases };
}

/** One database; its own name and OIDs are not part of it. */
export async function fingerprintDatabase(
  server: Postgres,
  database: string,
): Promise<DatabaseFingerprint> {
  const [rows, schema] = await Promise.all([
    ask(server, database, {
      properties: PROPERTIES,
      tables: TABLES,
      sequences: SEQUENCES,
      largeObjects: LARGE_OBJECTS,
    }),
    askSchema(server, database),
  ]);
  return { ...rows, schema };
}

const NAMES = String.raw`
  select to_json(datname) from pg_database
  where datallowconn and not datistemplate and datname not like '%\_before\_%' order by datname;`;

/** A role's settings, and those of all roles, belong to no database; the rest is in that database's properties. */
const ROLES = `
  select to_jsonb(role) - 'oid' || jsonb_build_object('settings', (
    select setconfig from pg_db_role_setting where setrole = role.oid and setdatabase = 0))
  from pg_authid as role where rolname not like 'pg\\_%' order by rolname;`;

const MEMBERSHIPS = `
  select to_jsonb(membership) - 'oid' || jsonb_build_object(
    'roleid', roleid::regrole, 'member', member::regrole, 'grantor', grantor::regrole)
  from pg_auth_members as membership where member::regrole::text not like 'pg\\_%'
  order by roleid::regrole::text, member::regrole::text, grantor::regrole::text;`;

const TABLESPACES = `
  select jsonb_build_object('name', spcname, 'owner', spcowner::regrole, 'acl', spcacl::text, 'options', spcoptions)
  from pg_tablespace order by spcname;`;

/** Privileges that were never granted are the same as those that everybody has by default. */
const PROPERTIES = `
  select to_jsonb(d) - '{oid,datname,datdba,datfrozenxid,datminmxid,dattablespace,datacl,datcollversion}'::text[]
    || jsonb_build_object(
      'owner', datdba::regrole,
      'tablespace', (select spcname from pg_tablespace as space where space.oid = dattablespace),
      'acl', array(select item::text from unnest(coalesce(datacl, acldefault('d', datdba))) as item order by 1),
      'comment', shobj_description(d.oid, 'pg_database'),
      'settings', array(
        select coalesce(nullif(setrole, 0)::regrole::text, '*') || ': ' || array_to_string(setconfig, ', ')
        from pg_db_role_setting where setdatabase = d.oid order by 1))
  from pg_database as d where datname = current_database();`;

const OWN_SCHEMAS = `
  from pg_class as c join pg_namespace as n on n.oid = relnamespace
  where nspname not like 'pg\\_%' and nspname <> 'information_schema'`;

/** A sum of hashes, so that neither the order of the rows nor the size of the table matters. */
const TABLES = `
  select format('
    select jsonb_build_object(''table'', %1$L::text, ''rows'', count(*), ''hash'',
      coalesce(sum(((''x'' || left(md5(whole_row::text), 16))::bit(64)::bigint)::numeric), 0)::text)
    from only %1$s as whole_row', format('%I.%I', nspname, relname))
  ${OWN_SCHEMAS} and relkind in ('r', 'm') and relispopulated order by nspname, relname \\gexec`;

const SEQUENCES = `
  select format('
    select jsonb_build_object(''sequence'', %1$L::text, ''last'', last_value::text, ''called'', is_called)
    from %1$s', format('%I.%I', nspname, relname))
  ${OWN_SCHEMAS} and relkind = 'S' order by nspname, relname \\gexec`;

const LARGE_OBJECTS = `
  select jsonb_build_object('oid', oid::text, 'owner', lomowner::regrole, 'acl', lomacl::text, 'hash', md5(lo_get(oid)))
  from pg_largeobject_metadata order by oid;`;

/** The same whatever roles and databases are set to. */
const SESSION = `
  set statement_timeout = 0; set lock_timeout = 0; set timezone = 'UTC'; set datestyle = 'ISO, YMD';
  set intervalstyle = 'iso_8601'; set bytea_output = 'hex'; set extra_float_digits = 3; set row_security = off;
  set lc_monetary = 'C'; set xmloption = content; set client_encoding = 'UTF8'; set search_path = pg_catalog;`;

/** The rows of each query, each of which gives one JSON value a row; all of them in one session. */
async function ask<Name extends string>(
  server: Postgres,
  database: string,
  queries: Readonly<Record<Name, string>>,
): Promise<Record<Name, unknown[]>> {
  const names = Object.keys(queries) as Name[];
  const script = names.map((name) => `\\echo ${SEPARATOR}\n${queries[name]}\n`).join('');
  const printed = await server.sql(`${SESSION}\n${script}`, database);
  const answers: unknown[][] = [];
  for (const line of printed.split('\n')) {
    if (line === SEPARATOR) {
      answers.push([]);
    } else {
      answers.at(-1)?.push(JSON.parse(line));
    }
  }
  return Object.fromEntries(names.map((name, index) => [name, answers[index]])) as Record<
    Name,
    unknown[]
  >;
}

/** No JSON value. */
const SEPARATOR = '--next--';

async function askSchema(server: Postgres, database: string): Promise<string[]> {
  const { exitCode, stdout, stderr } = await server.exec(
    // By the environment: a database's name may begin with a dash or look like a connection string.
    ['pg_dump', '--schema-only', '--no-sync'],
    { env: { PGDATABASE: database, PGUSER: server.user, PGPASSWORD: server.password } },
  );
  if (exitCode !== 0) {
    throw new Error(`pg_dump ended with ${exitCode}: ${stderr}`);
  }
  return stdout
    .replaceAll(/^\\(un)?restrict .*$/gm, '')
    .split('\n--\n-- Name: ')
    .map((entry) => entry.trim())
    .toSorted();
}
