import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CatalogEntry } from '../core/catalog-entry.ts';
import { formatDuration } from '../core/duration.ts';
import { toFailure } from '../core/errors.ts';
import { settledBackups } from '../core/growth.ts';
import type { Job } from '../core/job.ts';
import { storedBytes, type ManifestSummary } from '../core/manifest.ts';
import { aheadMs } from '../core/newest.ts';
import { SPACE_MARGIN_BYTES } from './backup.ts';
import { failed, good, note, type Check } from './check-result.ts';
import { describeInstant } from './check-sources.ts';
import type { App, Discovery } from './context.ts';

/** Whether backups can be written, are whole as far as a look tells, and will find room. */
export async function checkDirectory(app: App, discovery: Discovery): Promise<readonly Check[]> {
  const { dir } = app.context.storage;
  if (app.storageFailure !== null) {
    const { message, hint } = app.storageFailure;
    return [{ name: 'directory', subject: dir, ok: false, message, hint }];
  }
  return [await checkWritable(dir), ...(await checkCatalog(app, discovery))];
}

/** Rights alone do not tell: root has them on a read-only mount too, so a file is really written. */
async function checkWritable(dir: string): Promise<Check> {
  const path = join(dir, `.check-${randomBytes(4).toString('hex')}`);
  try {
    try {
      await writeFile(path, 'backupd check\n', { flag: 'wx', mode: 0o600, flush: true });
    } finally {
      await rm(path, { force: true });
    }
    return good('directory', dir, 'can be written');
  } catch (error) {
    return {
      name: 'directory',
      subject: dir,
      ok: false,
      message: `cannot be written: ${toFailure(error).message}`,
      hint: 'Mount a volume there that is not read-only, has room, and belongs to the user that backupd runs as.',
    };
  }
}

async function checkCatalog(
  { context: { catalog, storage }, settings }: App,
  { sources }: Discovery,
): Promise<readonly Check[]> {
  try {
    const entries = await catalog.all();
    const problems = await catalog.problems();
    const found = problems.map(({ path, message, hint }) => ({
      name: 'catalog' as const,
      subject: path,
      ok: false,
      message,
      hint,
    }));
    const whole = good(
      'catalog',
      storage.dir,
      `${entries.length} backups, nothing damaged or foreign`,
    );
    const { freeBytes } = await storage.space();
    return [
      ...(found.length === 0 ? [whole] : found),
      checkSpace(storage.dir, entries, freeBytes),
      ...checkGrowth(
        storage.dir,
        sources.map(({ job }) => job),
        entries,
        freeBytes,
      ),
      checkClock(entries, settings.timezone),
    ];
  } catch (error) {
    return [failed('catalog', storage.dir, error)];
  }
}

/** Whether one more backup of every source fits, as large as its newest. */
function checkSpace(dir: string, entries: readonly CatalogEntry[], freeBytes: number): Check {
  const groups = Map.groupBy(entries, ({ manifest }) => manifest.source).values();
  const neededBytes = groups.reduce((sum, group) => sum + newestBytes(group), 0);
  const free = `${Math.floor(freeBytes / 1e6)} MB free`;
  const needed = `the newest backups of all sources have ${Math.ceil(neededBytes / 1e6)} MB, and ${Math.ceil(SPACE_MARGIN_BYTES / 1e6)} MB are to spare`;
  if (freeBytes >= neededBytes + SPACE_MARGIN_BYTES) {
    return good('space', dir, `${free}, ${needed}`);
  }
  return {
    name: 'space',
    subject: dir,
    ok: false,
    message: `${free}, ${needed}`,
    hint: 'Free space there, make the volume larger, or keep fewer backups (BACKUPD_KEEP, then "backupd prune").',
  };
}

function newestBytes(entries: readonly CatalogEntry[]): number {
  const newest = newestOf(entries);
  return newest === null ? 0 : storedBytes(newest);
}

function newestOf(entries: readonly CatalogEntry[]): ManifestSummary | null {
  const [first = null, ...others] = entries.map(({ manifest }) => manifest);
  return others.reduce(
    (newest, each) =>
      newest === null || Date.parse(each.startedAt) > Date.parse(newest.startedAt) ? each : newest,
    first,
  );
}

/** Whether there is room for all that retention will keep, were every backup as large as the newest of its source. */
function checkGrowth(
  dir: string,
  jobs: readonly Job[],
  entries: readonly CatalogEntry[],
  freeBytes: number,
): readonly Check[] {
  const bySource = Map.groupBy(entries, ({ manifest }) => manifest.source);
  let moreBytes = 0;
  const endless: string[] = [];
  for (const job of jobs) {
    const own = bySource.get(job.source) ?? [];
    const count = settledBackups(job, Date.now());
    const thereBytes = own.reduce((sum, { manifest }) => sum + storedBytes(manifest), 0);
    const settledBytes = (count ?? 0) * newestBytes(own);
    moreBytes += Math.max(0, settledBytes - thereBytes);
    if (count === null && job.schedule.patterns.length > 0) {
      endless.push(job.source);
    }
  }
  const checks = endless.map((source) =>
    note(
      'space',
      source,
      'everything is kept (BACKUPD_KEEP=all): what it takes only grows',
      'Watch the metric backupd_disk_free_bytes, or set BACKUPD_KEEP.',
    ),
  );
  const message = `until retention removes as much as is made, ${Math.ceil(moreBytes / 1e6)} MB are still to come (were each backup as large as the newest), ${Math.floor(freeBytes / 1e6)} MB are free`;
  if (moreBytes <= freeBytes) {
    return [...checks, good('space', `${dir} in time`, message)];
  }
  const hint = 'Make the volume larger in time, or keep fewer backups (BACKUPD_KEEP).';
  return [...checks, { name: 'space', subject: `${dir} in time`, ok: false, message, hint }];
}

function checkClock(entries: readonly CatalogEntry[], timezone: string): Check {
  const newest = newestOf(entries);
  const ahead = newest === null ? 0 : aheadMs(newest.startedAt, Date.now());
  if (newest === null || ahead === 0) {
    const now = new Date();
    return good(
      'clock',
      'clock',
      `${now.toISOString()}, which is ${describeInstant(now.getTime(), timezone)} in ${timezone} (BACKUPD_TIMEZONE); no backup is from the future`,
    );
  }
  return {
    name: 'clock',
    subject: 'clock',
    ok: false,
    message: `backup ${newest.id} of "${newest.source}" is ${formatDuration(ahead)} ahead of this clock`,
    hint: 'Set the clock of this host right. Where it is right and was wrong before, remove that backup or wait until its time has come.',
  };
}
