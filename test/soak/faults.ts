import { setTimeout as pause } from 'node:timers/promises';
import type { Operation } from '../support/s3-proxy.ts';
import { docker } from '../support/run-process.ts';
import type { Chance } from './chance.ts';
import type { SoakStage } from './stage.ts';

const KINDS = ['target killed', 'bucket down', 'disk full', 'daemon killed'] as const;
export type FaultKind = (typeof KINDS)[number];

const OPERATIONS: readonly Operation[] = [
  'AbortMultipartUpload',
  'CompleteMultipartUpload',
  'CreateMultipartUpload',
  'DeleteObject',
  'GetBucket',
  'GetObject',
  'HeadBucket',
  'HeadObject',
  'ListObjectsV2',
  'ListParts',
  'PutObject',
  'UploadPart',
];

/** One that happened; it was over by `endedAtMs`. */
export interface Happened {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly endedAtMs: number;
}

export interface FaultOptions {
  readonly chance: Chance;
  readonly untilMs: number;
  /** From then on the daemon is let live: its memory is looked at. */
  readonly spareDaemonFromMs: number;
  readonly say: (line: string) => void;
}

/** Breaks one thing after the other, and mends each before the next. */
export async function keepBreaking(
  stage: SoakStage,
  { chance, untilMs, spareDaemonFromMs, say }: FaultOptions,
): Promise<readonly Happened[]> {
  const happened: Happened[] = [];
  for (;;) {
    await pause(chance.between(3000, 10_000));
    const kind = chance.pick(KINDS);
    // Drawn in any case, so that what follows is the same for a seed.
    const lastsMs = chance.between(2000, 10_000);
    const target = chance.pick(stage.targets);
    const atMs = Date.now();
    if (atMs + lastsMs > untilMs) {
      return happened;
    }
    if (kind === 'daemon killed' && atMs > spareDaemonFromMs) {
      continue;
    }
    const what = kind === 'target killed' ? `${kind}: ${target.sources[0]?.name}...` : kind;
    say(`${what} for ${(lastsMs / 1000).toFixed(1)} s`);
    const mend = await breakIt(stage, kind, target.container.name);
    await pause(lastsMs);
    await mend();
    happened.push({ kind, atMs, endedAtMs: Date.now() });
  }
}

async function breakIt(
  { proxy, daemon, disk }: SoakStage,
  kind: FaultKind,
  target: string,
): Promise<() => Promise<unknown>> {
  switch (kind) {
    case 'target killed':
      await docker('kill', target);
      return () => docker('start', target);
    case 'daemon killed':
      await docker('kill', daemon.name);
      return () => docker('start', daemon.name);
    case 'bucket down':
      for (const operation of OPERATIONS) {
        proxy.disturb({ operation }, { status: 503, code: 'ServiceUnavailable' });
      }
      return async () => Promise.resolve(proxy.calm());
    case 'disk full':
      await disk.exec(['sh', '-c', 'cat /dev/zero >/backups/filler']);
      return () => disk.exec(['rm', '-f', '/backups/filler']);
  }
}
