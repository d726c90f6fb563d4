import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Receipt } from '../../src/core/catalog-entry.ts';
import { formatBackupId } from '../../src/core/layout.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { startDaemon, type Daemon } from '../support/backupd.ts';
import { startIdleContainer } from '../support/idle-container.ts';
import { sampleManifest } from '../support/storage.ts';
import { docker, runProcess } from '../support/run-process.ts';
import { waitFor } from '../support/wait-for.ts';
import { checkLimit, type Measured } from './findings.ts';
import { spreadOf, type Course } from './rounds.ts';

const SOURCES = 20;
const BACKUPS_EACH = 500;
const TABLES = 40;
const HOUR_MS = 3_600_000;
/** How often each is asked; the median counts. */
const TIMES = 15;

/** How long it takes to list and to show a catalog in which there are years of backups. */
export async function measureCatalog({ say }: Pick<Course, 'say'>): Promise<Measured> {
  await using stack = new AsyncDisposableStack();
  const backups = await mkdtemp(join(tmpdir(), 'backupd-bench-'));
  stack.defer(async () => rm(backups, { recursive: true, force: true }));
  const names = Array.from({ length: SOURCES }, (_, index) => `db${index}`);
  say(`catalog: making ${SOURCES * BACKUPS_EACH} backups`);
  await Promise.all(names.map(async (source) => fillSource(backups, source)));
  // Found, but never backed up here.
  const target = stack.use(await startIdleContainer());
  const daemon = stack.use(
    await startDaemon({
      backups,
      tmpfs: { '/nas': 'size=1m,mode=1777' },
      env: {
        BACKUPD_NAMESPACE: 'demo',
        BACKUPD_SOURCES: names.map((name) => `${name}=postgres://${target.name}/shop`).join(' '),
        BACKUPD_SCHEDULE: 'off',
        BACKUPD_DESTINATIONS: 'nas',
        BACKUPD_DEST_NAS_PATH: '/nas',
        BACKUPD_DEST_NAS_UPLOAD_SCHEDULE: 'off',
      },
    }),
  );
  const first = await waitUntilRead(daemon);
  const parts = {
    list: await median(async () => listMs(daemon)),
    scrape: await median(async () => askMs(daemon, '/metrics')),
    page: await median(async () => askMs(daemon, '/')),
  };
  say(`catalog: first scrape ${first.toFixed(0)} ms, then ${JSON.stringify(parts)}`);
  const work = `${SOURCES * BACKUPS_EACH} backups of ${SOURCES} sources`;
  const limits = { list: 400, scrape: 100, page: 150 };
  return {
    findings: Object.entries(parts).map(([name, ms]) =>
      checkLimit(`${work}: ${name}`, { parts: { [name]: ms }, unit: 'ms' }, limits[name as 'list']),
    ),
    notes: [
      `- ${work}, each with the facts of ${TABLES} tables, a verification and a copy elsewhere: \`docker exec backupd backupd list\` of all of them, \`/metrics\` and \`/\`; medians of ${TIMES}.
  The first scrape after a start, which reads all manifests, took ${(first / 1000).toFixed(1)} s.`,
    ],
  };
}

/** As backups of every hour leave it. */
async function fillSource(dir: string, source: string): Promise<void> {
  const lastMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  for (let age = 0; age < BACKUPS_EACH; age += 1) {
    const manifest = manifestOf(source, new Date(lastMs - age * HOUR_MS));
    const folder = join(dir, source, manifest.id);
    await mkdir(join(folder, 'receipts'), { recursive: true });
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest, null, 2));
    for (const { name } of manifest.files) {
      await writeFile(join(folder, name), 'archive');
    }
    for (const [index, receipt] of receiptsOf(manifest).entries()) {
      const file = `000${index + 1}-${receipt.type}.json`;
      await writeFile(join(folder, 'receipts', file), JSON.stringify(receipt));
    }
  }
}

function manifestOf(source: string, startedAt: Date): Manifest {
  const plain = sampleManifest({
    id: formatBackupId({ startedAt, kind: 'full', suffix: '0000' }),
    source,
  });
  const tables = Array.from({ length: TABLES }, (_, n): [string, object] => [
    `public.table_${n}`,
    { rows: n * 1000, exact: true },
  ]);
  const shop = {
    sizeBytes: 8_000_000,
    tables: Object.fromEntries(tables),
    sequences: {},
    objects: {},
  };
  return { ...plain, facts: { serverVersion: '17.6', databases: { shop } } } as Manifest;
}

function receiptsOf({ finishedAt: at, files }: Manifest): readonly Receipt[] {
  const sent = files.map(({ name, storedBytes }) => ({
    name,
    bytes: storedBytes,
    etag: '"d41d8cd98f00b204e9800998ecf8427e"',
    versionId: null,
  }));
  return [
    { type: 'uploaded', at, destination: 'nas', files: sent },
    { type: 'verified', at, depth: 'content' },
  ];
}

/** @returns how long the first scrape that has all sources took */
async function waitUntilRead(daemon: Daemon): Promise<number> {
  return waitFor(
    'scrape with all sources',
    async () => {
      const startedAtMs = performance.now();
      const text = await (await daemon.get('/metrics')).text();
      const tookMs = performance.now() - startedAtMs;
      return (
        text.includes(`backupd_backups{source="db${SOURCES - 1}"} ${BACKUPS_EACH}\n`) && tookMs
      );
    },
    120_000,
  );
}

async function listMs({ name }: Daemon): Promise<number> {
  const listed = await runProcess(['docker', 'exec', name, 'backupd', 'list']);
  const lines = listed.stdout.split('\n').length;
  if (listed.exitCode !== 0 || lines < SOURCES * BACKUPS_EACH) {
    throw new Error(`list ended with ${listed.exitCode} after ${lines} lines: ${listed.stderr}`);
  }
  return listed.durationMs;
}

async function askMs({ name }: Daemon, path: string): Promise<number> {
  const address = await docker('port', name, '9321/tcp');
  const startedAtMs = performance.now();
  const answer = await fetch(`http://${address}${path}`);
  await answer.text();
  if (!answer.ok) {
    throw new Error(`${path} answered ${answer.status}`);
  }
  return performance.now() - startedAtMs;
}

async function median(measure: () => Promise<number>): Promise<number> {
  const taken: number[] = [];
  for (let turn = 0; turn < TIMES; turn += 1) {
    taken.push(await measure());
  }
  return spreadOf(taken).median;
}
