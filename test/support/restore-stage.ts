import { readdir } from 'node:fs/promises';
import { openCommandBox, type CommandBox } from './command-box.ts';
import { fingerprintDatabase, type DatabaseFingerprint } from './fingerprint.ts';
import { startPostgres, type Postgres, type PostgresOptions } from './postgres.ts';
import { waitFor } from './wait-for.ts';

/** Six seconds pass until a dead process's lock is known to be one; the rest is for machines with much else to do. */
const RECOVERY_MS = 60_000;

/** A PostgreSQL server with two databases, an empty folder for backups, and backupd's image with a source `db`. */
export interface RestoreStage extends CommandBox {
  readonly server: Postgres;
  /** Everything that no run may leave, in the server, its container and the folder; empty where all is well. */
  leftovers(): Promise<readonly string[]>;
  /** What a database holds, but for what the writer of `startWriter` adds all the while. */
  content(database: string): Promise<DatabaseFingerprint>;
}

export interface RestoreStageOptions extends PostgresOptions {
  /** What the server holds; default: SAMPLE_SQL. */
  readonly sql?: string;
  /** Those that are backed up; default: `shop` and `crm`. */
  readonly databases?: readonly string[];
  /** More settings for backupd. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Two databases with what a restore must bring back, and a table for a writer. */
export const SAMPLE_SQL = String.raw`
  create role clerk login password 'secret';
  create role staff; grant staff to clerk;
  create table orders (id bigint generated always as identity primary key, who text not null, what jsonb, at timestamptz default now());
  insert into orders (who, what) select 'customer ' || n % 97, jsonb_build_object('n', n, 'pad', repeat(md5(n::text), 4)) from generate_series(1, 2000) as n;
  create index on orders (who); create index on orders using gin (what);
  create table lines (order_id bigint references orders, n int, primary key (order_id, n));
  insert into lines select id, 1 from orders;
  create view busy as select who, count(*) from orders group by who;
  grant select on orders to staff; alter table lines owner to clerk;
  comment on database shop is 'what is sold';
  select lo_from_bytea(0, 'a large object');
  create table ticks (n bigint primary key);
  create database crm owner clerk;
  \c crm
  create table people (id int primary key, name text);
  insert into people select n, 'person ' || n from generate_series(1, 500) as n;`;

export async function openRestoreStage(options: RestoreStageOptions = {}): Promise<RestoreStage> {
  const { sql = SAMPLE_SQL, settings = {}, databases = ['shop', 'crm'], ...postgres } = options;
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startPostgres(postgres));
  await server.sql(sql);
  const box = stack.use(
    await openCommandBox({
      BACKUPD_SOURCES: `db=postgres://${server.name}/${databases.join(',')}`,
      ...settings,
    }),
  );
  const { dir } = box;
  const kept = stack.move();

  return {
    ...box,
    server,
    leftovers: () => findLeftovers(server, dir),
    async content(database) {
      const { tables, ...rest } = await fingerprintDatabase(server, database);
      return {
        ...rest,
        tables: tables.filter((table) => (table as { table: string }).table !== 'public.ticks'),
      };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function findLeftovers(server: Postgres, dir: string): Promise<readonly string[]> {
  const [databases, sessions, target, files] = await Promise.all([
    server.sql(`select 'database ' || datname from pg_database where datname like 'backupd\\_%'`),
    server.sql(
      `select 'session ' || pid || ': ' || query from pg_stat_activity where application_name like 'backupd:%'`,
    ),
    server.exec(['sh', '-c', FIND_IN_TARGET], { user: 'root' }),
    leftFiles(dir),
  ]);
  return [databases, sessions, target.stdout, ...files]
    .flatMap((text) => text.split('\n'))
    .filter((line) => line !== '');
}

/** Processes by what marks them, and what is kept in memory while an index is built. */
const FIND_IN_TARGET = String.raw`
  for dir in /proc/[0-9]*; do
    if tr '\000' '\n' 2>/dev/null <"$dir/environ" | grep -q '^BACKUPD_RUN='; then
      echo "process $(tr '\000' ' ' <"$dir/cmdline")"
    fi
  done
  ls /dev/shm | grep '^backupd' | sed 's|^|file /dev/shm/|'`;

async function leftFiles(dir: string): Promise<readonly string[]> {
  const names = await readdir(dir, { recursive: true });
  return names.filter(
    (name) =>
      name.endsWith('.partial') || name.endsWith('.tmp') || /^\.backupd\/journals\/./.test(name),
  );
}

/** Waits until nothing is left of what was interrupted. */
export async function untilClear(stage: RestoreStage): Promise<void> {
  let left: readonly string[] = [];
  try {
    await waitFor(
      'end of what was left',
      async () => {
        left = await stage.leftovers();
        return left.length === 0;
      },
      RECOVERY_MS,
    );
  } catch (error) {
    throw new Error(`left behind: ${left.join(', ')}`, { cause: error });
  }
}

/** A database `slow`, whose load lasts for as long as `setLinger` says, and fails where there is a role `refuse`. */
export const SLOW_SQL = String.raw`
  create database slow;
  \c slow
  create function linger() returns boolean language plpgsql as $$
    begin
      while exists (select from pg_roles where rolname = 'linger') loop
        perform pg_sleep(0.1);
      end loop;
      return not exists (select from pg_roles where rolname = 'refuse');
    end $$;
  create table rows (n int check (linger()));
  insert into rows values (1);`;

/** Whether the load of the database `slow` goes on and on, from now on; one that does ends with 'off'. */
export async function setLinger(server: Postgres, how: 'on' | 'off'): Promise<void> {
  // A role, since nothing else is seen from within every database.
  await server.sql(
    `drop role if exists linger; ${how === 'on' ? 'create role linger' : ''}`,
    'postgres',
  );
}

/** The session that loads `slow`, in pg_stat_activity. */
export const LOADING_SLOW = `datname like 'backupd\\_%' and query like 'COPY public.rows %'`;

/** How long a restore may take to get somewhere, on a machine with much else to do. */
export const RESTORE_MS = 120_000;

/** Waits until a restore is in the midst of the load of `slow`. */
export async function untilLoading(server: Postgres): Promise<void> {
  await waitFor(
    'load of the database slow',
    async () => {
      const loading = await server.sql(
        `select count(*) from pg_stat_activity where ${LOADING_SLOW} and wait_event = 'PgSleep'`,
        'postgres',
      );
      return loading === '1';
    },
    RESTORE_MS,
  );
}
