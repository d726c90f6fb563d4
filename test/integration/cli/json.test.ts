import { afterAll, beforeAll, expect, test } from 'vitest';
import { startComposeStack, type ComposeStack } from '../../support/compose-stack.ts';
import { startIdleContainer } from '../../support/idle-container.ts';
import { matching } from '../../support/matchers.ts';
import { docker } from '../../support/run-process.ts';

const started = new AsyncDisposableStack();
let stack: ComposeStack;
let id: string;

beforeAll(async () => {
  stack = started.use(
    await startComposeStack({ services: { backupd: { environment: { BACKUPD_KEEP: 'all' } } } }),
  );
  await stack.server.sql('create table orders as select generate_series(1, 100) as n');
  id = await backUp();
});
afterAll(async () => {
  await started.disposeAsync();
});

// Any value of a kind; `toEqual` refuses every field that is not named.
const TEXT: unknown = expect.any(String);
const NUMBER: unknown = expect.any(Number);

const LIST: unknown = expect.any(Array);
const RECORD: unknown = expect.any(Object);
const INSTANT = matching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const ID = matching(/^\d{8}T\d{6}Z-full-[0-9a-f]{4}$/);

/** Runs a command with `--json`: its document, which is all of stdout; stderr is silent. */
async function document(args: readonly string[], exitCode = 0): Promise<unknown> {
  const result = await stack.daemon.cli([...args, '--json']);
  expect(result, result.stdout + result.stderr).toMatchObject({ exitCode, stderr: '' });
  // One line: nothing before the document and nothing after it.
  expect(result.stdout).toMatch(/^[^\n]+\n$/);
  return JSON.parse(result.stdout) as unknown;
}

async function backUp(): Promise<string> {
  const { runs } = (await document(['backup', 'db', '--wait', '1m'])) as {
    runs: readonly { id: string }[];
  };
  return runs[0]?.id ?? '';
}

const LISTED = {
  id: ID,
  source: 'db',
  engine: 'postgres',
  kind: 'full',
  startedAt: INSTANT,
  finishedAt: INSTANT,
  storedBytes: NUMBER,
  dumpBytes: NUMBER,
  databases: ['postgres', 'shop'],
  encryption: { scheme: 'none', keyIds: [] },
  copies: [],
  verifiedAt: null,
  drilledAt: null,
  pins: [] as readonly string[],
  suspicious: false,
  damaged: false,
  warnings: [],
};

const RESTORED = { matches: true, differences: [] };

test('backup', async () => {
  const run = { source: 'db', engine: 'postgres', startedAt: INSTANT, durationMs: NUMBER };
  const made = { storedBytes: NUMBER, dumpBytes: NUMBER, warnings: [], error: null };
  expect(await document(['backup', '--pin', '--wait', '1m'])).toEqual({
    runs: [{ ...run, outcome: 'success', id: ID, ...made }],
  });
});

test('list', async () => {
  expect(await document(['list', 'db'])).toEqual([{ ...LISTED, pins: ['by-hand'] }, LISTED]);
});

test('show', async () => {
  const file = {
    name: TEXT,
    format: matching(/^(?:sql|pg-custom)$/),
    storedBytes: NUMBER,
    sha256: matching(/^[0-9a-f]{64}$/),
    dumpBytes: NUMBER,
    compression: 'zstd',
  };
  expect(await document(['show', id])).toEqual({
    format: 1,
    id,
    namespace: stack.project,
    source: 'db',
    engine: 'postgres',
    kind: 'full',
    parent: null,
    trigger: matching(/^(?:manual|first)$/),
    startedAt: INSTANT,
    finishedAt: INSTANT,
    backupdVersion: TEXT,
    target: {
      container: stack.server.name,
      image: 'postgres:17',
      imageId: matching(/^sha256:/),
      repoDigests: LIST,
    },
    toolVersion: TEXT,
    files: [
      { ...file, name: 'globals.sql.zst', database: null },
      { ...file, name: 'postgres.dump.zst', database: 'postgres' },
      { ...file, name: 'shop.dump.zst', database: 'shop' },
    ],
    databases: ['postgres', 'shop'],
    encryption: { scheme: 'none', keyIds: [] },
    position: null,
    facts: RECORD,
    engineFacts: RECORD,
    warnings: [],
    suspicious: false,
    receipts: [],
  });
});

test('verify', async () => {
  const checked = { id, source: 'db', ok: true, depth: 'content', checkedBytes: NUMBER };
  expect(await document(['verify', id])).toEqual([{ ...checked, error: null }]);
});

test('prune', async () => {
  const verdict = { id: ID, source: 'db', where: 'local', reasons: LIST, error: null };
  for (const args of [['--dry-run'], []]) {
    const verdicts = await document(['prune', 'db', ...args, '--wait', '1m']);
    expect(verdicts).toHaveLength(2);
    for (const one of verdicts as readonly unknown[]) {
      expect(one).toEqual({ ...verdict, keep: true, removed: false });
    }
  }
});

test('pin and unpin', async () => {
  expect(await document(['pin', id])).toEqual({ id, source: 'db', pinned: true, destinations: [] });
  expect(await document(['unpin', id])).toEqual({
    id,
    source: 'db',
    pinned: false,
    destinations: [],
  });
});

test('restore, its undo, and what drops what was kept', async () => {
  const common = { source: 'db', id, into: stack.server.name };
  const restore = ['restore', 'db', '--database', 'shop', '--at', id, '--wait', '1m'];
  expect(await document([...restore, '--dry-run'])).toEqual({
    ...common,
    plan: true,
    databases: [
      {
        name: 'shop',
        restoredAs: 'shop',
        previous: null,
        facts: null,
        sizeBytes: NUMBER,
        replaces: true,
      },
    ],
    durationMs: null,
    startedAt: INSTANT,
    gap: null,
    fetch: null,
    stops: [],
    warnings: [],
  });
  const previous = matching(/^shop_before_\d{8}t\d{6}z$/);
  const done = { name: 'shop', restoredAs: 'shop', previous, facts: RESTORED };
  expect(await document(restore)).toEqual({
    ...common,
    databases: [done],
    durationMs: NUMBER,
    warnings: [],
  });
  expect(await document(['restore', 'db', '--undo', '--dry-run'])).toEqual({
    plan: true,
    source: 'db',
    id: null,
    into: stack.server.name,
    databases: [{ name: previous, restoredAs: 'shop', previous: null, facts: null }],
    durationMs: null,
    replacedAt: INSTANT,
    stops: [],
  });
  expect(await document(['restore', 'db', '--undo'])).toEqual({
    source: 'db',
    id: null,
    into: stack.server.name,
    databases: [{ name: 'shop', restoredAs: 'shop', previous, facts: null }],
    durationMs: NUMBER,
    warnings: [],
  });
  const drop = ['restore', 'db', '--drop-previous'];
  expect(await document([...drop, '--dry-run'])).toEqual({
    plan: true,
    source: 'db',
    dropped: [previous],
  });
  expect(await document([...drop, '--yes'])).toEqual({ source: 'db', dropped: [previous] });
});

test('status', async () => {
  expect(await document(['status'])).toEqual({
    healthy: true,
    sources: [
      {
        source: 'db',
        engine: 'postgres',
        state: 'ok',
        healthy: true,
        lastSuccessAt: INSTANT,
        lastSuccessId: ID,
        ageSeconds: NUMBER,
        maxAgeSeconds: null,
        intervalSeconds: null,
        sizeBytes: NUMBER,
        dumpBytes: NUMBER,
        durationSeconds: NUMBER,
        nextRunAt: null,
        lastAttempt: { at: INSTANT, outcome: 'success', code: null, message: null },
        failing: null,
        overdueSince: null,
        lastRestore: { at: INSTANT, id: null, outcome: 'success', code: null, message: null },
        copies: [],
        lastDrill: null,
        drill: { lastSuccessAt: null, skipped: null, nextRunAt: INSTANT, maxAgeSeconds: NUMBER },
        recovery: {
          rpo: { targetSeconds: null, measuredSeconds: NUMBER, met: null },
          rto: { targetSeconds: null, measuredSeconds: null, met: null },
        },
        threeTwoOne: {
          holds: false,
          missing: ['a third copy', 'a second kind of place', 'a copy off this site'],
        },
        previous: [],
        backups: 2,
        storedBytes: NUMBER,
        warnings: {},
        runsTotal: { success: 2, failed: 0, skipped: 0, interrupted: 0 },
        removedTotal: 0,
        retentionFailure: null,
        lastVerifiedAt: INSTANT,
        damagedBackups: 0,
        damage: null,
        suspicious: null,
      },
    ],
    destinations: [],
    problems: [],
  });
});

test('check', async () => {
  const report = (await document(['check'])) as { readonly checks: readonly unknown[] };
  expect(report).toEqual({ ok: true, checks: LIST });
  expect(report.checks.length).toBeGreaterThan(4);
  for (const one of report.checks as readonly { readonly hint: unknown }[]) {
    // What is well and may be meant otherwise has a hint, too: here, that everything is kept.
    const hint = one.hint === null ? null : TEXT;
    expect(one).toEqual({ name: TEXT, subject: TEXT, ok: true, message: TEXT, hint });
  }
});

test('config', async () => {
  const config = (await document(['config'])) as {
    readonly options: readonly unknown[];
    readonly sources: readonly { readonly options: readonly unknown[] }[];
  };
  expect(config).toEqual({
    options: LIST,
    sources: [{ source: 'db', engine: 'postgres', container: stack.server.name, options: LIST }],
    problems: [],
    encryption: { scheme: 'none', keyIds: [] },
    keys: null,
    docker: null,
    directory: null,
  });
  for (const option of [...config.options, ...(config.sources[0]?.options ?? [])]) {
    const { value } = option as { readonly value: unknown };
    expect(option).toEqual({ name: TEXT, value: value === null ? null : TEXT, from: TEXT });
  }
});

test('forget', async () => {
  const labels = {
    ...stack.labelsOf('gone'),
    'backupd.enable': 'true',
    'backupd.engine': 'postgres',
  };
  const gone = started.use(await startIdleContainer({ labels }));
  // Whoever may write remembers it.
  await stack.daemon.cli(['backup', 'gone', '--json']);
  await docker('rm', '--force', gone.name);
  expect(await document(['forget', 'gone'])).toEqual({ source: 'gone', backups: 0 });
});

test('a command of which parts failed says which, in the same document', async () => {
  const labels = {
    ...stack.labelsOf('empty'),
    'backupd.enable': 'true',
    'backupd.engine': 'postgres',
  };
  started.use(await startIdleContainer({ labels }));
  const run = { engine: 'postgres', startedAt: INSTANT, durationMs: NUMBER, warnings: [] };
  const error = { code: 'target-unavailable', message: TEXT, hint: TEXT };
  const made = { storedBytes: NUMBER, dumpBytes: NUMBER, error: null };
  const notMade = { id: null, storedBytes: null, dumpBytes: null, error };
  expect(await document(['backup', 'empty', 'db', '--wait', '1m'], 20)).toEqual({
    runs: [
      { ...run, source: 'empty', outcome: 'failed', ...notMade },
      { ...run, source: 'db', outcome: 'success', id: ID, ...made },
    ],
  });
});

test('version', async () => {
  expect(await document(['--version'])).toEqual({ version: matching(/^\d+\.\d+\.\d+$/) });
});
