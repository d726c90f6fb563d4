import { createHash } from 'node:crypto';
import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { MANIFEST_FILE } from '../../src/core/layout.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import type { CommandBox } from './command-box.ts';

type Env = Readonly<Record<string, string>>;

/** A backup of the source `db` in a command box. */
export interface EncryptedBackup {
  readonly id: string;
  readonly folder: string;
  /** SHA-256 of what `cat` writes. */
  catDigest(file: string, env: Env): Promise<string>;
  /**
   * Changes what is stored of a file for the time of a check, and makes the manifest fit: what is left to see it is the
   * encryption.
   */
  altered(
    file: string,
    change: (stored: Buffer) => Buffer,
    check: () => Promise<void>,
  ): Promise<void>;
  /** Where the folder is kept as it was meanwhile. */
  readonly kept: string;
}

/** Backs up, as `backup db` does. */
export async function makeEncryptedBackup(
  box: CommandBox,
  env: Env = {},
): Promise<EncryptedBackup> {
  const { exitCode, stdout, stderr } = await box.backupd(['backup', 'db', '--json'], { env });
  expect(exitCode, stdout + stderr).toBe(0);
  const { runs } = JSON.parse(stdout) as { runs: readonly { id: string }[] };
  const id = runs[0]?.id ?? '';
  const folder = join(box.dir, 'db', id);
  const kept = join(box.dir, 'kept');
  return {
    id,
    folder,
    kept,
    async catDigest(file, env) {
      const script = `backupd cat ${id} ${file} | sha256sum`;
      const { stdout } = await box.box.exec(['sh', '-c', script], { env });
      return stdout.slice(0, 64);
    },
    async altered(file, change, check) {
      await cp(folder, kept, { recursive: true });
      try {
        await alter(folder, file, change);
        await check();
      } finally {
        await rm(folder, { recursive: true });
        await rename(kept, folder);
      }
    },
  };
}

/** One bit is another one. */
export function flip(stored: Buffer, at: number): Buffer {
  const flipped = Buffer.from(stored);
  const place = Math.floor(at);
  flipped.writeUInt8(flipped.readUInt8(place) ^ 1, place);
  return flipped;
}

/** The error of a command that could not run, as it says it in JSON. */
export async function failureOf(
  box: CommandBox,
  args: readonly string[],
  env: Env = {},
): Promise<unknown> {
  const { exitCode, stderr } = await box.backupd([...args, '--json'], { env });
  const { error } = JSON.parse(stderr) as { error: object };
  expect(error).toMatchObject({ exitCode });
  return error;
}

async function alter(
  folder: string,
  name: string,
  change: (stored: Buffer) => Buffer,
): Promise<void> {
  const stored = change(await readFile(join(folder, name)));
  await writeFile(join(folder, name), stored);
  const path = join(folder, MANIFEST_FILE);
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Manifest;
  const sha256 = createHash('sha256').update(stored).digest('hex');
  const files = manifest.files.map((file) =>
    file.name === name ? { ...file, storedBytes: stored.length, sha256 } : file,
  );
  await writeFile(path, JSON.stringify({ ...manifest, files }));
}
