import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readJson } from '../../src/store/atomic-file.ts';
import { runProcess, type ProcessResult } from '../support/run-process.ts';
import { s3Stage, type S3Stage } from '../support/s3-stage.ts';
import { CALM, download, fileOf, MIB, PART_BYTES } from '../support/uploads.ts';

const SUPPORT = join(import.meta.dirname, '..', 'support');
const PARTS = 6;
/** Four go at once, and each was cut off somewhere. */
const ON_THEIR_WAY = 4;

let stage: S3Stage;

beforeAll(async () => {
  stage = await s3Stage();
});
afterAll(async () => stage[Symbol.asyncDispose]());

test.each([
  // An upload that nobody knows of: all goes once more, and what it left can be found and ended.
  { at: 'upload-begun', had: 0, leaves: 1 },
  { at: 'upload-recorded', had: 0, leaves: 0 },
  { at: 'part-sent:1', had: 1, leaves: 0 },
  { at: 'part-sent:4', had: 4, leaves: 0 },
  { at: 'parts-sent', had: PARTS, leaves: 0 },
  { at: 'upload-finished', had: PARTS, leaves: 0 },
])('an upload killed at $at goes on', async ({ at, had, leaves }) => {
  const key = stage.newKey();
  const file = await fileOf(stage.dir, (PARTS - 1) * PART_BYTES + MIB);
  const journal = join(stage.dir, `${at}.json`);
  const { endpoint } = stage.proxy;

  async function upload(env: Readonly<Record<string, string>>): Promise<ProcessResult> {
    const program = [join(SUPPORT, 'upload-process.ts'), endpoint, stage.bucket, key];
    const kill = ['--import', join(SUPPORT, 'kill-at.ts')];
    return runProcess([process.execPath, ...kill, ...program, file.path, journal], { env });
  }

  const killed = await upload({ KILL_AT: at, KILL_MARKER: join(stage.dir, 'killed') });
  expect(killed).toMatchObject({ exitCode: null, stdout: '' });
  const isDone = (await stage.open().head(key, null, CALM)) !== null;
  expect(isDone).toBe(at === 'upload-finished');
  stage.proxy.forget();

  const next = await upload({ KILL_AT: 'never' });
  expect(next).toMatchObject({ exitCode: 0 });
  const sent = Number(next.stdout);
  expect(sent).toBe(stage.proxy.bytesOf('UploadPart'));
  // Not one that the store had is sent once more.
  expect(sent).toBeLessThanOrEqual(
    file.bytes - Math.max(0, had - 1) * PART_BYTES - (had > 0 ? MIB : 0),
  );
  expect(sent).toBeGreaterThanOrEqual(
    had >= PARTS ? 0 : file.bytes - (had + ON_THEIR_WAY) * PART_BYTES,
  );
  expect((await download(stage.open(), key, PART_BYTES)).equals(file.content)).toBe(true);
  expect((await readJson(journal)).state).toBe('absent');
  const left = await Array.fromAsync(stage.open().listUploads(key, CALM));
  expect(left).toHaveLength(leaves);
});
