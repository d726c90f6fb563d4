import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ListedVersion } from '../core/destination.ts';
import { BackupdError } from '../core/errors.ts';
import { STATE_FOLDER } from '../core/layout.ts';
import { FILE_MODE, FOLDER_MODE, setMode, writeFileAtomically } from './atomic-file.ts';
import { storageError } from './storage-error.ts';

/** What was read of the small objects of one source at a destination; it only saves requests, so it may be lost. */
export interface RemoteCache {
  /** What was remembered of an object that is still the same; null where nothing was. */
  get(object: Named): unknown;
  /** Remembers what an object held. */
  add(object: Named, value: unknown): Promise<void>;
  /** Ends it, and forgets what was not asked for where that has become the larger part. */
  close(): Promise<void>;
}

/** An object, and its name below the source: `<id>/manifest.json`. */
export interface Named {
  readonly name: string;
  readonly version: Pick<ListedVersion, 'etag' | 'bytes'>;
}

export interface CachePlace {
  /** The directory of the backups. */
  readonly dir: string;
  readonly destination: string;
  readonly namespace: string;
  readonly source: string;
}

interface Line {
  readonly name: string;
  readonly etag: string;
  readonly bytes: number;
  readonly value: unknown;
}

/** A file with a line of JSON for each object, which grows at its end: whatever dies, what was fetched stays known. */
export async function openRemoteCache(place: CachePlace): Promise<RemoteCache> {
  const { dir, destination, namespace, source } = place;
  const path = join(dir, STATE_FOLDER, 'remote', destination, namespace, `${source}.jsonl`);
  const lines = (await tolerateNoCache(() => readLines(path))) ?? new Map<string, Line>();
  const asked = new Set<string>();
  let opening: Promise<FileHandle | null> | null = null;

  return {
    get({ name, version }) {
      asked.add(name);
      const line = lines.get(name);
      return line?.etag === version.etag && line.bytes === version.bytes ? line.value : null;
    },
    async add({ name, version }, value) {
      const line = { name, etag: version.etag, bytes: version.bytes, value };
      lines.set(name, line);
      opening ??= tolerateNoCache(() => openAppending(path));
      const file = await opening;
      await tolerateNoCache(async () => file?.write(toText(line)));
    },
    async close() {
      const file = await opening;
      await tolerateNoCache(async () => file?.close());
      if (lines.size > 2 * asked.size) {
        const kept = [...lines.values()].filter(({ name }) => asked.has(name));
        await tolerateNoCache(() => writeFileAtomically(path, kept.map(toText).join('')));
      }
    },
  };
}

/** By name; of several of one name the last. Lines that were torn by a crash are skipped. */
async function readLines(path: string): Promise<Map<string, Line>> {
  const lines = new Map<string, Line>();
  await using file = await open(path, 'r');
  for await (const text of file.readLines({ autoClose: false })) {
    const line = parseLine(text);
    if (line !== null) {
      lines.set(line.name, line);
    }
  }
  return lines;
}

function parseLine(text: string): Line | null {
  try {
    const line = JSON.parse(text) as Line;
    return typeof line.name === 'string' && typeof line.value === 'object' ? line : null;
  } catch {
    return null;
  }
}

function toText(line: Line): string {
  return `${JSON.stringify(line)}\n`;
}

/** Several processes may append at once: each line is one write. */
async function openAppending(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
  const file = await open(path, 'a', FILE_MODE);
  await setMode(file);
  // Ends a line that was torn.
  await file.write('\n');
  return file;
}

/** What is not remembered, or cannot be on a full disk or a mount that is only read, is fetched again: null then. */
async function tolerateNoCache<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    const failure = storageError(error, '');
    if (failure instanceof BackupdError) {
      return null;
    }
    throw error;
  }
}
