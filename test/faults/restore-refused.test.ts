import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { holdName, holdTable } from '../support/hold.ts';
import { untilRuns } from '../support/processes.ts';
import {
  openRestoreStage,
  SAMPLE_SQL,
  setLinger,
  SLOW_SQL,
  untilLoading,
  type RestoreStage,
} from '../support/restore-stage.ts';
import { waitFor } from '../support/wait-for.ts';

let stage: RestoreStage;
let id: string;

beforeAll(async () => {
  stage = await openRestoreStage({
    sql: `${SAMPLE_SQL}\n${SLOW_SQL}`,
    databases: ['crm', 'shop', 'slow'],
    args: [
      'fsync=off',
      'max_wal_size=256MB',
      'wal_level=logical',
      'max_prepared_transactions=2',
    ].flatMap((setting) => ['-c', setting]),
  });
  const backup = await stage.json<{ runs: { id: string }[] }>(['backup', 'db', '--pin']);
  id = backup.runs[0]?.id ?? '';
  await stage.server.sql('create table added (id int)');
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** A restore that is refused, or fails, and changes nothing. */
async function expectRefused(
  args: readonly string[],
  expected: { readonly exitCode: number; readonly code: string; readonly message: RegExp },
): Promise<void> {
  const oids = await databases();
  const before = await stage.content('shop');
  const { exitCode, code, message } = expected;
  const result = await stage.backupd(['restore', 'db', '--json', ...args]);
  expect(result, result.stderr).toMatchObject({ exitCode, stdout: '' });
  expect(JSON.parse(result.stderr)).toMatchObject({
    error: { code, exitCode, message: expect.stringMatching(message) as unknown },
  });
  expect(await databases()).toBe(oids);
  expect(await stage.content('shop')).toEqual(before);
  expect(await stage.leftovers()).toEqual([]);
}

async function databases(): Promise<string> {
  return stage.server.sql('select oid, datname from pg_database order by oid', 'postgres');
}

test('a prepared transaction in the database is named', async () => {
  await stage.server.sql(
    `begin; insert into added values (1); prepare transaction 'half of two phases'`,
  );
  await expectRefused(['--at', id], {
    exitCode: 24,
    code: 'target-in-use',
    message: /"shop" has the prepared transaction "half of two phases"/,
  });
  await stage.server.sql(`rollback prepared 'half of two phases'`);
  // What was refused can be done once its reason is gone.
  await stage.json(['restore', 'db', '--at', id, '--database', 'shop']);
  await stage.json(['restore', 'db', '--undo']);
});

test('a logical replication slot of the database is named', async () => {
  await stage.server.sql(`select pg_create_logical_replication_slot('reports', 'pgoutput')`);
  await expectRefused(['--at', id], {
    exitCode: 24,
    code: 'target-in-use',
    message: /"shop" has the logical replication slot "reports"/,
  });
  // Of other databases it is none of a restore's business.
  await stage.json(['restore', 'db', '--at', id, '--database', 'crm']);
  await stage.server.sql(`select pg_drop_replication_slot('reports')`);
});

test('a live subscription of the database is named', async () => {
  await stage.server.sql(`
    create subscription orders_in connection 'host=nowhere.invalid' publication p with (connect = false);
    alter subscription orders_in enable;`);
  await expectRefused(['--at', id], {
    exitCode: 24,
    code: 'target-in-use',
    message: /"shop" has the subscription "orders_in"/,
  });
  await stage.server.sql(`
    alter subscription orders_in disable; alter subscription orders_in set (slot_name = none);
    drop subscription orders_in;`);
});

test('a session that does not let go of the name of the database', async () => {
  await using _hold = await holdName(stage.server, 'shop');
  await expectRefused(['--at', id, '--database', 'shop'], {
    exitCode: 24,
    code: 'target-in-use',
    message: /lock timeout/,
  });
});

test('a backup whose facts are not those of its archive', async () => {
  const altered = await alterManifest((manifest) => {
    const facts = manifest['facts'] as {
      databases: { shop: { tables: Record<string, { rows: number }> } };
    };
    const table = facts.databases.shop.tables['public.lines'];
    if (table === undefined) {
      throw new Error(
        `no facts of public.lines in ${Object.keys(facts.databases.shop.tables).join()}`,
      );
    }
    table.rows += 1;
  });
  await expectRefused(['--at', altered, '--database', 'shop'], {
    exitCode: 23,
    code: 'verification-failed',
    message: /lines.*2001 when dumped, 2000 restored/,
  });
});

test('a backup of a newer PostgreSQL', async () => {
  const altered = await alterManifest((manifest) => {
    manifest['engineFacts'] = { ...(manifest['engineFacts'] as object), versionNumber: 180_001 };
  });
  await expectRefused(['--at', altered, '--database', 'shop'], {
    exitCode: 14,
    code: 'format-unsupported',
    message: /the backup is of PostgreSQL 18, ".*" runs 17/,
  });
});

let copies = 0;

/** A backup beside the good one, whose files are right but whose manifest is not. @returns its id */
async function alterManifest(change: (manifest: Record<string, unknown>) => void): Promise<string> {
  copies += 1;
  const copy = id.replace(/....$/, `000${copies}`);
  const folder = join(stage.dir, 'db', copy);
  await cp(join(stage.dir, 'db', id), folder, { recursive: true });
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  manifest['id'] = copy;
  change(manifest);
  await writeFile(path, JSON.stringify(manifest));
  return copy;
}

test('two restores at once: the second is refused, and names the first', async () => {
  await setLinger(stage.server, 'on');
  const first = stage.json(['restore', 'db', '--at', id, '--database', 'slow']);
  await untilLoading(stage.server);
  const second = await stage.backupd(['restore', 'db', '--at', id, '--database', 'crm', '--json']);
  await setLinger(stage.server, 'off');
  expect(second).toMatchObject({ exitCode: 11, stdout: '' });
  expect(second.stderr).toContain('restore db');
  expect(await first).toMatchObject({ databases: [{ name: 'slow', facts: { matches: true } }] });
});

test('a restore during a backup is refused, and with --wait it comes after it', async () => {
  await using hold = await holdTable(stage.server, 'added');
  const backup = stage.json<{ runs: unknown[] }>(['backup', 'db']);
  await waitFor('backup that waits for the table', async () => {
    const waiting = await stage.server.sql(
      `select count(*) from pg_stat_activity where application_name like 'backupd:%' and wait_event_type = 'Lock'`,
      'postgres',
    );
    return waiting !== '0';
  });
  const args = ['restore', 'db', '--at', id, '--database', 'crm', '--json'];
  const refused = await stage.backupd(args);
  expect(refused).toMatchObject({ exitCode: 11, stdout: '' });
  expect(refused.stderr).toContain('backup db');

  const waiting = stage.backupd([...args, '--wait', '2m']);
  await untilRuns(stage.box.name, 'restore db');
  await hold.release();
  const restored = await waiting;
  expect(restored, restored.stderr).toMatchObject({ exitCode: 0 });
  expect(await backup).toMatchObject({ runs: [{ outcome: 'success' }] });
});
