import { BackupdError } from './errors.ts';
import type { Facts } from './facts.ts';
import { isBackupId, isSourceName, type BackupId, type BackupKind } from './layout.ts';
import type { Engine } from './target.ts';

export const FORMAT = 1;

export interface Warning {
  /** Kebab-case; also the value of a metric's label. */
  readonly code: string;
  readonly message: string;
}

export type Compression = 'zstd' | 'gzip' | 'none';

/** One stored file of a backup. */
export interface ArchiveFile {
  readonly name: string;
  /** What the plain bytes are; names the reader that checks them: `pg-custom`, `sql`. */
  readonly format: string;
  /** The database it holds; null for what belongs to the whole server. */
  readonly database: string | null;
  readonly storedBytes: number;
  /** SHA-256 of the stored bytes, hex: anyone can check it without a key. */
  readonly sha256: string;
  /** Plain bytes, counted as they were decoded. */
  readonly dumpBytes: number;
  readonly compression: Compression;
}

/** The target as it was, so that a restore test can start the same image again, or a restore make the volume again. */
export type TargetFacts = ContainerFacts | VolumeFacts;

export interface ContainerFacts {
  readonly container: string;
  readonly image: string;
  readonly imageId: string;
  readonly repoDigests: readonly string[];
}

export interface VolumeFacts {
  /** The volume's name; for a directory of the host its path, which begins with "/". */
  readonly volume: string;
  readonly made: VolumeMaking | null;
}

/** How a volume was made. */
export interface VolumeMaking {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Encryption {
  readonly scheme: 'none' | 'age' | 'gpg';
  readonly keyIds: readonly string[];
}

/** What became of a command that was run around a backup. */
export interface HookReport {
  readonly when: 'before' | 'after';
  /** Null where it could not be run, or nobody knows. */
  readonly exitCode: number | null;
  /** The end of what it printed. */
  readonly output: string;
  readonly durationMs: number;
}

/** A container that was held still for a backup, and for how long. */
export interface HaltReport {
  readonly container: string;
  readonly how: 'stop' | 'pause';
  readonly durationMs: number;
}

export type Trigger = 'schedule' | 'catch-up' | 'first' | 'manual';

/**
 * The record that makes a backup exist: written last, removed first, never edited.
 * It holds all that a restore on an empty host needs to know.
 */
export interface Manifest {
  readonly format: typeof FORMAT;
  readonly id: BackupId;
  readonly namespace: string;
  readonly source: string;
  readonly engine: Engine;
  readonly kind: BackupKind;
  /** The backup this one builds on; null for one that stands alone. */
  readonly parent: BackupId | null;
  readonly trigger: Trigger;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly backupdVersion: string;
  readonly target: TargetFacts;
  readonly toolVersion: string;
  readonly files: readonly ArchiveFile[];
  readonly databases: readonly string[];
  readonly encryption: Encryption;
  /** A position in the engine's change log; null where none was taken. */
  readonly position: string | null;
  readonly facts: Facts;
  /** Engine-specific knowledge that its restorer needs, plain JSON. */
  readonly engineFacts: Readonly<Record<string, unknown>>;
  readonly warnings: readonly Warning[];
  /** The commands of `backupd.before` and `backupd.after`; absent where there are none. */
  readonly hooks?: readonly HookReport[];
  /** The containers of `backupd.stop` and `backupd.pause`; absent where none was. */
  readonly halts?: readonly HaltReport[];
  /** The source shrank to nothing: kept, shown, but never `latest`. */
  readonly suspicious: boolean;
}

/** A manifest without what only a restore needs: facts of thousands of tables in thousands of backups fill a memory. */
export type ManifestSummary = Omit<Manifest, 'facts' | 'engineFacts'>;

/** What is kept of a manifest in memory. */
export function summariseManifest(manifest: Manifest): ManifestSummary {
  const { facts: _facts, engineFacts: _engineFacts, ...summary } = manifest;
  return summary;
}

/** Size of all stored files. */
export function storedBytes(manifest: Pick<Manifest, 'files'>): number {
  return manifest.files.reduce((sum, file) => sum + file.storedBytes, 0);
}

/** Size of all plain dumps. */
export function dumpBytes(manifest: Pick<Manifest, 'files'>): number {
  return manifest.files.reduce((sum, file) => sum + file.dumpBytes, 0);
}

/**
 * Reads a manifest.
 * @throws BackupdError `format-unsupported` for one of a newer backupd, `archive-corrupt` for what is no manifest.
 */
export function parseManifest(text: string, where: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new BackupdError('archive-corrupt', `manifest of ${where} is no JSON`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || !('format' in value)) {
    throw new BackupdError('archive-corrupt', `manifest of ${where} has no format`);
  }
  if (value.format !== FORMAT) {
    throw new BackupdError(
      'format-unsupported',
      `manifest of ${where} has format ${JSON.stringify(value.format)}, this backupd reads format ${FORMAT}`,
      {
        hint: 'Use the backupd version that wrote it, or a newer one.',
      },
    );
  }
  const missing = missingField(value as Partial<Manifest>);
  if (missing !== null) {
    throw new BackupdError('archive-corrupt', `manifest of ${where} has no valid "${missing}"`);
  }
  return value as Manifest;
}

function missingField(value: Partial<Manifest>): string | null {
  const checks: readonly (readonly [string, boolean])[] = [
    ['id', typeof value.id === 'string' && isBackupId(value.id)],
    ['source', typeof value.source === 'string' && isSourceName(value.source)],
    ['namespace', typeof value.namespace === 'string'],
    ['engine', typeof value.engine === 'string'],
    ['startedAt', isInstant(value.startedAt)],
    ['finishedAt', isInstant(value.finishedAt)],
    ['files', Array.isArray(value.files) && value.files.every((file) => isArchiveFile(file))],
    ['databases', Array.isArray(value.databases)],
    ['facts', typeof value.facts === 'object' && value.facts !== null],
    ['warnings', Array.isArray(value.warnings)],
    ['target', typeof value.target === 'object' && value.target !== null],
    ['encryption', typeof value.encryption === 'object' && value.encryption !== null],
  ];
  const missing = checks.find(([, valid]) => !valid)?.[0] ?? null;
  return missing === null && !haveFiles(value as Manifest) ? 'databases' : missing;
}

/** Where each file is of one database, each database has a file. */
function haveFiles({ databases, files }: Pick<Manifest, 'databases' | 'files'>): boolean {
  const withFile = new Set(files.flatMap(({ database }) => database ?? []));
  return withFile.size === 0 || databases.every((name) => withFile.has(name));
}

/** Whether a file of a backup can have this name. Also keeps a hostile manifest from naming files outside its own folder. */
export function isArchiveName(name: string): boolean {
  return /^[a-zA-Z0-9_%~-][a-zA-Z0-9_%~.-]*$/.test(name) && name !== MANIFEST_NAME;
}

function isArchiveFile(file: unknown): boolean {
  const { name, format, storedBytes, sha256, dumpBytes, compression } = (file ??
    {}) as Partial<ArchiveFile>;
  return (
    typeof name === 'string' &&
    isArchiveName(name) &&
    typeof format === 'string' &&
    isCount(storedBytes) &&
    isCount(dumpBytes) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    (compression === 'zstd' || compression === 'gzip' || compression === 'none')
  );
}

const MANIFEST_NAME = 'manifest.json';

function isInstant(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
