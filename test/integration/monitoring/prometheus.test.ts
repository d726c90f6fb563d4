import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDaemon, type Daemon } from '../../support/backupd.ts';
import { ROOT } from '../../support/documents.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { startPrometheus, testNetwork, type Prometheus } from '../../support/prometheus.ts';
import { docker } from '../../support/run-process.ts';
import { testVolume } from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

const stack = new AsyncDisposableStack();
let server: Postgres;
let daemon: Daemon;
let prometheus: Prometheus;

beforeAll(async () => {
  const volume = stack.use(await testVolume());
  const network = stack.use(await testNetwork());
  server = stack.use(await startPostgres());
  daemon = stack.use(
    await startDaemon({
      backups: volume.name,
      network: network.name,
      tmpfs: { '/nas': 'size=256m,mode=1777' },
      env: {
        BACKUPD_SOURCES: `db=postgres://${server.name}/shop`,
        BACKUPD_SCHEDULE: '*/2 * * * * *',
        BACKUPD_MAX_AGE: '20s',
        BACKUPD_DESTINATIONS: 'nas',
        BACKUPD_DEST_NAS_PATH: '/nas',
      },
    }),
  );
  prometheus = stack.use(await startPrometheus(`${daemon.name}:9321`, network.name));
});
afterAll(async () => {
  await stack.disposeAsync();
});

/** What its alert says while it fires; null: it does not. */
async function firing(name: string): Promise<string | null> {
  const alerts = await prometheus.alerts();
  const found = alerts.find(
    ({ labels, state }) => labels['alertname'] === name && state === 'firing',
  );
  return found?.annotations['summary'] ?? null;
}

test('an alert fires when its source is stopped, and is over when the source is back', async () => {
  await waitFor('backup that is scraped', async () => {
    const [lastAt = 0] = await prometheus.query('backupd_backup_last_success_timestamp_seconds');
    return lastAt > 0;
  });
  expect(await firing('BackupOverdue')).toBeNull();
  await docker('stop', '--time', '0', server.name);
  const summary = await waitFor('alert', async () => firing('BackupOverdue'), 120_000);
  expect(summary).toMatch(/^The last good backup of db is \d+\.?\d*s old$/);
  // The daemon tries again by itself: that is waited for.
  expect(await firing('BackupFailed')).toBeNull();
  const states = (await prometheus.alerts()).map(({ labels, state }) => [
    labels['alertname'],
    state,
  ]);
  expect(states).toContainEqual(['BackupFailed', 'pending']);

  await docker('start', server.name);
  await waitFor('end of the alert', async () => (await firing('BackupOverdue')) === null, 120_000);
  expect(await prometheus.query('up{job="backupd"}')).toEqual([1]);
});

test('every rule can be reckoned, and names series that there are', async () => {
  const rules = await waitFor('rules that were reckoned', async () => {
    const all = await prometheus.rules();
    return all.every(({ health }) => health !== 'unknown') && all;
  });
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  const text = await readFile(join(ROOT, 'config/prometheus/alerts.yml'), 'utf8');
  const there = await families();
  const named = [...new Set(text.match(/\bbackupd_\w+/g) ?? [])];
  expect(named.filter((name) => isPossible(name, there) && !there.includes(name))).toEqual([]);
});

interface Panel {
  readonly targets?: readonly { readonly expr: string }[];
}

test('every expression of the dashboard has data', async () => {
  const there = await families();
  const commands = [
    ['verify', 'db'],
    ['upload', 'nas', '--wait', '1m'],
    ...(isPossible('backupd_drill_', there) ? [['drill', 'db', '--wait', '1m']] : []),
  ];
  for (const args of commands) {
    const { exitCode, stderr } = await daemon.cli(args);
    expect(exitCode, stderr).toBe(0);
  }
  const text = await readFile(join(ROOT, 'config/grafana/dashboard.json'), 'utf8');
  const { panels } = JSON.parse(text) as { readonly panels: readonly Panel[] };
  const expressions = panels
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => asChosen(expr)))
    .filter((each) => isPossible(each, there));
  expect(expressions.length).toBeGreaterThan(25);
  let missing = expressions;
  // The next scrapes have what the commands did.
  await waitFor('data', async () => {
    const answers = await Promise.all(missing.map(async (each) => prometheus.query(each)));
    missing = missing.filter((_, index) => answers[index]?.length === 0);
    return missing.length === 0;
  }).catch(() => null);
  expect(missing).toEqual([]);
});

/** Names of all that a scrape describes, whether or not it has values now. */
async function families(): Promise<readonly string[]> {
  const text = await (await daemon.get('/metrics')).text();
  return [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name = '']) => name);
}

/** False for what is about parts of backupd that this one does not have. */
function isPossible(expression: string, there: readonly string[]): boolean {
  return ['backupd_drill_', 'backupd_notify_'].every(
    (part) => !expression.includes(part) || there.some((name) => name.startsWith(part)),
  );
}

/** As Grafana asks where all is chosen. */
function asChosen(expression: string): string {
  return expression
    .replaceAll(/\$(?:instance|source)\b/g, '.*')
    .replaceAll('$__rate_interval', '1m');
}
