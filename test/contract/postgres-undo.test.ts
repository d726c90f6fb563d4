import { afterEach, expect, test, vi } from 'vitest';
import { readPrevious } from '../../src/store/previous.ts';
import { liveApp } from '../support/live-app.ts';
import { startPostgres } from '../support/postgres.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('undos within one instant are told apart, and from the restores before', async () => {
  await using server = await startPostgres();
  await using app = await liveApp({ sources: { db: `postgres://${server.name}/shop` } });
  await server.sql(`create table state as select 'backed up' as what`);
  await app.backedUp('db');
  for (const what of ['replaced first', 'replaced last']) {
    await server.sql(`update state set what = '${what}'`);
    await app.restore({ source: 'db' });
  }

  vi.setSystemTime(new Date());
  for (const what of ['replaced last', 'backed up', 'replaced last']) {
    await app.undo('db');
    expect(await server.sql('select what from state')).toBe(what);
    const recorded = await readPrevious(app.dir, 'db');
    expect(recorded).toHaveLength(2);
    const names = recorded.flatMap(({ databases }) => databases.map(({ kept }) => kept?.name));
    expect(await keptNames()).toEqual(new Set(names));
  }

  async function keptNames(): Promise<ReadonlySet<string>> {
    const kept = await server.sql(
      `select datname from pg_database where datname like 'shop\\_before\\_%'`,
    );
    return new Set(kept.split('\n'));
  }
});
