import { basename, dirname } from 'node:path';
import { BackupdError } from '../core/errors.ts';
import { ZstdFrameError } from './zstd-frame.ts';

/** Errors of a file system that is full; anything else a file system says is `storage-unavailable`. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** What the kernel says of files. Codes that sockets use as well are left out: they may be the dump's. */
const UNAVAILABLE = new Set([
  'EACCES',
  'EIO',
  'EISDIR',
  'ELOOP',
  'ENODEV',
  'ENOENT',
  'ENOTDIR',
  'ENXIO',
  'EPERM',
  'EROFS',
  'ESTALE',
]);

/** What is said of an archive's file: the last two parts of its path, `<id>/shop.dump.zst`. */
function describeFile(path: string): string {
  return `${basename(dirname(path))}/${basename(path)}`;
}

/** An archive that is not what it was when it was written; `fact` says in what: `SHA-256 differs`. */
export function corruptArchive(path: string, fact: string, cause?: unknown): BackupdError {
  return new BackupdError('archive-corrupt', `${describeFile(path)}: ${fact}`, {
    cause,
    hint: 'Use another backup or a copy of this one. "backupd verify" tells which are whole.',
  });
}

/** The failure behind an error of the file system, or null where the error is not one. */
function storageFailure(error: unknown, path: string): BackupdError | null {
  const code = errnoOf(error);
  const directory = dirname(path);
  if (FULL.has(code)) {
    return new BackupdError('no-space', `no space left in ${directory}`, {
      cause: error,
      hint: 'Free space there, make the volume larger, or keep fewer backups (BACKUPD_KEEP).',
    });
  }
  return UNAVAILABLE.has(code)
    ? new BackupdError('storage-unavailable', `${path} cannot be used: ${code}`, {
        cause: error,
        hint: 'Check that the volume is mounted, healthy, and accessible to the user backupd runs as.',
      })
    : null;
}

/** The code of a system error, such as `ENOENT`; empty for everything else. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** Says of anything thrown on the way to or from an archive what it means; what is none of our business stays as it is. */
export function explainFailure(error: unknown, path: string): unknown {
  if (error instanceof ZstdFrameError) {
    return corruptArchive(path, error.message, error);
  }
  if (error instanceof BackupdError) {
    // A format's reader knows the fact, but not the file.
    return error.code === 'archive-corrupt' && !error.message.startsWith(describeFile(path))
      ? corruptArchive(path, error.message, error)
      : error;
  }
  const code = errnoOf(error);
  if (code === 'Z_BUF_ERROR') {
    return corruptArchive(path, 'ends before its compressed data does', error);
  }
  if (code === 'ERR_TRAILING_JUNK_AFTER_STREAM_END') {
    return corruptArchive(path, 'has bytes after the end of its compressed data', error);
  }
  if (error instanceof Error && /^(?:Z_|ZSTD_error_)/.test(code)) {
    return corruptArchive(path, `cannot be decompressed: ${error.message}`, error);
  }
  return storageFailure(error, path) ?? error;
}

/**
 * The same of what was thrown while stored bytes were read: a disk that gives an error for them has lost them, though it
 * may give them the next time.
 */
export function explainReading(error: unknown, path: string): unknown {
  return errnoOf(error) === 'EIO'
    ? corruptArchive(path, 'the disk cannot read all of it (EIO)', error)
    : explainFailure(error, path);
}
