import { afterAll, beforeAll, expect, test } from 'vitest';
import { startComposeStack, type ComposeStack } from '../../support/compose-stack.ts';
import { startIdleContainer } from '../../support/idle-container.ts';
import { having } from '../../support/matchers.ts';
import { scrape, type Scrape } from '../../support/metrics.ts';
import { startPostgres, waitUntilReady } from '../../support/postgres.ts';
import { docker } from '../../support/run-process.ts';
import { uniqueName, type TestContainer } from '../../support/test-container.ts';
import { waitFor } from '../../support/wait-for.ts';

/** Containers are listed every 30 s. */
const LOOK_MS = 40_000;

let stack: ComposeStack;
const started = new AsyncDisposableStack();

beforeAll(async () => {
  stack = started.use(await startComposeStack());
});
afterAll(async () => {
  await started.disposeAsync();
});

interface Status {
  readonly healthy: boolean;
  readonly sources: readonly { readonly source: string; readonly state: string }[];
  readonly problems: readonly { readonly message: string }[];
}

async function status(): Promise<Status> {
  const { stdout } = await stack.daemon.cli(['status', '--json']);
  return JSON.parse(stdout) as Status;
}

/** State by source, as `status` says it. */
async function states(): Promise<Readonly<Record<string, string>>> {
  const { sources } = await status();
  return Object.fromEntries(sources.map(({ source, state }) => [source, state]));
}

async function backUp(source: string): Promise<void> {
  const { exitCode, stdout } = await stack.daemon.cli(['backup', source, '--json', '--wait', '1m']);
  expect(exitCode, stdout).toBe(0);
}

function backups(metrics: Scrape, source: string): number | null {
  return metrics('backupd_backups', { source });
}

/** Waits for the daemon's own look: a scrape asks nobody. */
async function untilScraped(what: string, isSo: (metrics: Scrape) => boolean): Promise<Scrape> {
  return waitFor(
    what,
    async () => {
      const metrics = await scrape(stack.daemon);
      return isSo(metrics) ? metrics : null;
    },
    LOOK_MS,
  );
}

/** A database that nobody has to be able to log in to. */
async function startStandIn(
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<TestContainer> {
  return startIdleContainer({
    name,
    labels: {
      ...stack.labelsOf(name),
      'backupd.enable': 'true',
      'backupd.engine': 'postgres',
      ...labels,
    },
  });
}

test('sources are followed as their containers change, in metrics and status', async () => {
  const enabled = { 'backupd.enable': 'true' };
  const [renamed, newName] = [uniqueName('shelf'), uniqueName('rack')];
  const stockLabels = stack.labelsOf('stock');
  const [stock, shelf] = await Promise.all([
    startPostgres({ labels: { ...stockLabels, ...enabled } }),
    // Without a service the container's own name is that of the source.
    startPostgres({
      name: renamed,
      labels: { 'com.docker.compose.project': stack.project, ...enabled },
    }),
  ]);
  started.use(stock);
  started.defer(async () => {
    await docker('rm', '--force', '--volumes', shelf.id);
  });
  for (const source of ['db', 'stock', renamed]) {
    await backUp(source);
  }
  expect(await states()).toEqual({ db: 'ok', stock: 'ok', [renamed]: 'ok' });
  // The daemon has looked by itself, so that it can miss it.
  await waitFor(
    'look that finds the source stock',
    async () => /"source":"stock".*"source found"/.test(await stack.daemon.logs()),
    LOOK_MS,
  );
  const before = await untilScraped('source stock', (metrics) => backups(metrics, 'stock') === 1);
  const lastSuccess = 'backupd_backup_last_success_timestamp_seconds';

  // All within one look: recreated, its label removed, renamed, and one that is new.
  await stack.compose('up', '--detach', '--force-recreate', '--no-deps', 'db');
  await docker('rm', '--force', '--volumes', stock.name);
  started.use(await startIdleContainer({ labels: stockLabels }));
  await docker('rename', renamed, newName);
  const extra = started.use(await startStandIn(uniqueName('extra'), {}));

  // A command looks for itself.
  expect(await states()).toEqual({
    db: 'ok',
    stock: 'missing',
    [renamed]: 'missing',
    [newName]: 'never',
    [extra.name]: 'never',
  });
  expect(await status()).toMatchObject({ healthy: false });

  const after = await untilScraped(
    'source that was added',
    (metrics) => backups(metrics, extra.name) === 0,
  );
  for (const source of ['db', 'stock', renamed]) {
    // What is gone is still there for whoever watches its age.
    expect(after('backupd_backups', { source })).toBe(1);
    expect(after(lastSuccess, { source })).toBe(before(lastSuccess, { source }));
    expect(after('backupd_source_info', { source, engine: 'postgres' })).toBe(1);
  }
  for (const source of [newName, extra.name]) {
    expect(after(lastSuccess, { source })).toBe(0);
    expect(after('backupd_backup_age_seconds', { source })).toBe(Infinity);
    expect(after('backupd_backup_runs_total', { source, result: 'failed' })).toBe(0);
  }
  expect(after('backupd_backup_age_seconds', { source: 'stock' })).toBeGreaterThan(0);
  const log = await stack.daemon.logs();
  expect(log).toMatch(/"source":"stock".*"source is gone"/);

  // The one that was recreated and the one that was renamed are backed up as they are now.
  await waitUntilReady(stack.server);
  await backUp('db');
  await backUp(newName);
  expect(await stack.daemon.cli(['backup', 'stock', '--json'])).toMatchObject({ exitCode: 16 });

  await forgetAndBringBack({ stockLabels, renamed, newName, extra });
});

interface Known {
  readonly stockLabels: Readonly<Record<string, string>>;
  readonly renamed: string;
  readonly newName: string;
  readonly extra: TestContainer;
}

async function forgetAndBringBack({ stockLabels, renamed, newName, extra }: Known): Promise<void> {
  const forgotten = await stack.daemon.cli(['forget', renamed, '--json']);
  expect(forgotten).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(forgotten.stdout)).toEqual({ source: renamed, backups: 1 });
  expect(await stack.daemon.cli(['forget', renamed])).toMatchObject({ exitCode: 16 });
  expect(await stack.daemon.cli(['forget', 'db'])).toMatchObject({ exitCode: 2 });
  expect(await states()).not.toHaveProperty([renamed]);
  const list = await stack.daemon.cli(['list', renamed, '--json']);
  expect(JSON.parse(list.stdout)).toHaveLength(1);
  // At once, not only at the next look.
  expect(backups(await scrape(stack.daemon), renamed)).toBeNull();

  // All within one look again: back with its label, gone without ever a backup, and two of one name.
  started.use(await startPostgres({ labels: { ...stockLabels, 'backupd.enable': 'true' } }));
  await docker('rm', '--force', '--volumes', extra.name);
  const twin = started.use(await startStandIn(uniqueName('twin'), { 'backupd.name': newName }));
  expect(await states()).toMatchObject({ db: 'ok', stock: 'ok' });
  const { problems, healthy } = await status();
  expect(healthy).toBe(false);
  expect(problems.filter(({ message }) => message.includes(newName))).not.toEqual([]);
  const refused = await stack.daemon.cli(['backup', newName, '--json']);
  expect(refused).toMatchObject({ exitCode: 3 });
  expect(JSON.parse(refused.stdout)).toEqual({
    runs: [
      having({ source: newName, outcome: 'failed', error: having({ code: 'config-invalid' }) }),
    ],
  });

  const metrics = await untilScraped(
    'look that misses what is gone',
    (scraped) => backups(scraped, extra.name) === null,
  );
  expect(backups(metrics, 'stock')).toBe(1);
  expect(metrics('backupd_config_problems')).toBeGreaterThan(0);
  expect(await stack.daemon.logs()).toContain('"problem with the configuration"');

  await docker('rm', '--force', '--volumes', twin.name);
  await backUp(newName);
  await backUp('stock');
  expect(await status()).toMatchObject({ healthy: true, problems: [] });
}
