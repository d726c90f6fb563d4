import { writeFile } from 'node:fs/promises';
import { pino } from 'pino';
import type { Manifest } from '../../src/core/manifest.ts';
import { verifier, type Verifier } from '../../src/daemon/verifications.ts';
import type { RunQueue } from '../../src/daemon/queue.ts';
import type { App } from '../../src/jobs/context.ts';
import type { CopyStage } from './copy-stage.ts';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const IDLE: Pick<RunQueue, 'idle'> = { idle: () => Promise.resolve() };

/** What a test sees of the log. */
export interface VerifierStage {
  readonly verifier: Verifier;
  readonly app: App;
  readonly logged: () => readonly Readonly<Record<string, unknown>>[];
}

export function verifierStage(
  here: CopyStage,
  queue: Parameters<typeof verifier>[1] = IDLE,
): VerifierStage {
  const entries: Readonly<Record<string, unknown>>[] = [];
  const log = pino(
    { level: 'debug', base: null },
    {
      write(text: string) {
        entries.push(JSON.parse(text) as Readonly<Record<string, unknown>>);
      },
    },
  );
  // What is stored is what counts here, and bytes of chance have no format.
  const reader = { push() {}, end: () => ({ tables: {} }) };
  const app: App = { ...here.app, reader: () => Promise.resolve(reader as never) };
  return { verifier: verifier({ app, log }, queue), app, logged: () => entries };
}

export async function flip(here: CopyStage, manifest: Manifest): Promise<void> {
  await writeFile(here.path(manifest), Buffer.alloc(manifest.files[0]?.storedBytes ?? 0));
}

export async function entryOf(here: CopyStage, { id }: Manifest): ReturnType<Find> {
  return here.app.context.catalog.find(id);
}

type Find = App['context']['catalog']['find'];
