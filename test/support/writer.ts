import { TOOLS, type Postgres } from './postgres.ts';
import { docker } from './run-process.ts';
import { waitFor } from './wait-for.ts';

/** A client that adds a row all the while, reconnecting each time. */
export interface Writer extends AsyncDisposable {
  /**
   * Rows it was told were committed that are not in the database they were committed to, as `oid|n`; those in a database
   * that was dropped since are not looked for.
   */
  lost(): Promise<readonly string[]>;
  /** How many rows it was told were committed. */
  acknowledged(): Promise<number>;
}

const WRITES = '/tmp/writes';

/** Begins to write into `ticks` of the database `shop`. */
export async function startWriter(server: Postgres): Promise<Writer> {
  const script = `
    touch ${WRITES}.on
    n=0
    while [ -e ${WRITES}.on ]; do
      n=$((n + 1))
      ${TOOLS}/psql -qAtX -c "insert into ticks values ($n) returning (select oid from pg_database where datname = current_database()), n" >>${WRITES} 2>/dev/null
      sleep 0.05
    done
    touch ${WRITES}.off`;
  const env = [`PGUSER=${server.user}`, `PGPASSWORD=${server.password}`, 'PGDATABASE=shop'];
  const options = env.flatMap((setting) => ['--env', setting]);
  await docker('exec', '--detach', ...options, server.name, 'sh', '-c', script);
  await waitFor('writer', async () => (await acknowledged()) > 0);

  async function written(): Promise<readonly string[]> {
    const { stdout } = await server.exec(['cat', WRITES]);
    return stdout.split('\n').filter((line) => /^\d+\|\d+$/.test(line));
  }

  async function acknowledged(): Promise<number> {
    return (await written()).length;
  }

  return {
    acknowledged,
    async lost() {
      const expected = await written();
      const there = new Set<string>();
      const oids = new Set<string>();
      const databases = await server.sql(
        `select oid || ' ' || datname from pg_database where datname = 'shop' or datname like 'shop\\_before\\_%'`,
      );
      for (const line of databases.split('\n')) {
        const [oid = '', name = ''] = line.split(' ');
        oids.add(oid);
        const rows = await server.sql('select n from ticks', name);
        for (const n of rows.split('\n')) {
          there.add(`${oid}|${n}`);
        }
      }
      return expected.filter((row) => oids.has(row.split('|')[0] ?? '') && !there.has(row));
    },
    async [Symbol.asyncDispose]() {
      await server.exec([
        'sh',
        '-c',
        `rm -f ${WRITES}.on; n=0; until [ -e ${WRITES}.off ] || [ $n = 50 ]; do n=$((n + 1)); sleep 0.1; done; rm -f ${WRITES} ${WRITES}.off`,
      ]);
    },
  };
}
