import { TOOLS, type Postgres } from './postgres.ts';

/**
 * What a PostgreSQL server holds, to be compared with `toEqual` before and after. Independent of what backupd records:
 * asked with other means, and of everything, not of what a restore is known to bring back.
 */
export interface ServerFingerprint {
  readonly roles: readonly unknown[];
  readonly memberships: readonly unknown[];
  /** Of ALTER ROLE ALL SET. */
  readonly settingsForAll: readonly unknown[];
  /** Who may set which parameter. */
  readonly parameters: readonly unknown[];
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
  const { names, ...shared } = parse(
    await server.sql(
      script({
        names: NAMES,
        roles: ROLES,
        memberships: MEMBERSHIPS,
        settingsForAll: SETTINGS_FOR_ALL,
        parameters: PARAMETERS,
        tablespaces: TABLESPACES,
      }),
    ),
  );
  return { ...shared, databases: await lookInto(server, names as string[]) } as ServerFingerprint;
}

/** One database; its own name and OIDs are not part of it. */
export async function fingerprintDatabase(
  server: Postgres,
  database: string,
): Promise<DatabaseFingerprint> {
  const { [database]: found } = await lookInto(server, [database]);
  return found as DatabaseFingerprint;
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

const SETTINGS_FOR_ALL = `
  select to_json(setting) from pg_db_role_setting, unnest(setconfig) as setting
  where setdatabase = 0 and setrole = 0 order by setting;`;

const PARAMETERS = `
  select json_build_object('name', parname, 'acl', paracl::text) from pg_parameter_acl order by parname;`;

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
  set statement_timeout = 0; set lock_timeout = 0; set idle_session_timeout = 0;
  select set_config(name, '0', false) from pg_settings where name = 'transaction_timeout';
  set timezone = 'UTC'; set datestyle = 'ISO, YMD';
  set intervalstyle = 'iso_8601'; set bytea_output = 'hex'; set extra_float_digits = 3; set row_security = off;
  set lc_monetary = 'C'; set xmloption = content; set client_encoding = 'UTF8'; set search_path = pg_catalog;`;

/** No JSON value; each is followed by the name of a query. */
const SEPARATOR = '--next-- ';

/** Queries, each of which gives one JSON value a row, for one session. */
function script(queries: Readonly<Record<string, string>>): string {
  const texts = Object.entries(queries).map(
    ([name, query]) => `\\echo ${SEPARATOR}${name}\n${query}\n`,
  );
  return `${SESSION}\n${texts.join('')}`;
}

/** The rows of each query of a script; what it printed before the first one is of no interest. */
function parse(printed: string): Readonly<Record<string, readonly unknown[]>> {
  const answers: Record<string, unknown[]> = {};
  let current: unknown[] = [];
  for (const line of printed.split('\n')) {
    if (line.startsWith(SEPARATOR)) {
      current = [];
      answers[line.slice(SEPARATOR.length)] = current;
    } else if (line !== '') {
      current.push(JSON.parse(line));
    }
  }
  return answers;
}

/**
 * Prints of each database what the queries on standard input give, then its schema. Names go by the environment: they
 * may begin with a dash or look like a connection string.
 */
const LOOK = String.raw`
  PATH=${TOOLS}:$PATH
  queries=$(cat)
  for PGDATABASE; do
    export PGDATABASE
    printf '%s\n' "$queries" | psql --no-psqlrc -qAt -v ON_ERROR_STOP=1 -f - || exit
    printf '\000'
    pg_dump --schema-only --no-sync || exit
    printf '\000'
  done`;

/** All databases in one process of the container: that is what takes long. */
async function lookInto(
  server: Postgres,
  databases: readonly string[],
): Promise<Readonly<Record<string, DatabaseFingerprint>>> {
  const { exitCode, stdout, stderr } = await server.exec(['sh', '-c', LOOK, 'look', ...databases], {
    env: { PGUSER: server.user, PGPASSWORD: server.password, PGCLIENTENCODING: 'UTF8' },
    input: script({
      properties: PROPERTIES,
      tables: TABLES,
      sequences: SEQUENCES,
      largeObjects: LARGE_OBJECTS,
    }),
  });
  if (exitCode !== 0) {
    throw new Error(`a look at a database ended with ${exitCode}: ${stderr}`);
  }
  // Of each database its rows, then its schema.
  const pieces = stdout.split('\0');
  return Object.fromEntries(
    databases.map((name, index) => {
      const rows = parse(pieces[index * 2] ?? '') as Omit<DatabaseFingerprint, 'schema'>;
      return [name, { ...rows, schema: entriesOf(pieces[index * 2 + 1] ?? '') }];
    }),
  );
}

/** The order of entries depends on OIDs. */
function entriesOf(schema: string): string[] {
  return schema
    .replaceAll(/^\\(un)?restrict .*$/gm, '')
    .split('\n--\n-- Name: ')
    .map((entry) => entry.trim())
    .toSorted();
}
