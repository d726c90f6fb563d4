import { BackupdError } from '../core/errors.ts';
import type { Encrypter } from '../core/encryption.ts';
import type { BackupId } from '../core/layout.ts';
import {
  FORMAT,
  type HookReport,
  type Manifest,
  type TargetFacts,
  type Trigger,
  type Warning,
} from '../core/manifest.ts';
import { isGood, isPinned } from '../core/catalog-entry.ts';
import { findEmptiedVolume, findMissingDatabases, findShrinkage } from '../core/shrinkage.ts';
import type { Source } from '../core/source.ts';
import { commandTarget, type TargetRef } from '../core/target.ts';
import type { JobContext } from './context.ts';
import type { Dumped } from './dump.ts';
import { hookFailure } from './hooks.ts';

/** What a run knows at its end. */
export interface Described extends Omit<Dumped, 'failure'> {
  readonly source: Pick<Source, 'name' | 'engine'>;
  readonly trigger: Trigger;
  readonly id: BackupId;
  readonly startedAt: Date;
  readonly target: TargetRef;
  readonly encrypter: Pick<Encrypter, 'encryption' | 'warnings'>;
  /** Whether a person asked to keep it, and so knows what is in it. */
  readonly isExpected: boolean;
}

/** The manifest of a backup; one whose source shrank to nothing since the last good backup is flagged in it. */
export async function describeBackup(
  described: Described,
  context: Pick<JobContext, 'catalog' | 'storage' | 'backupdVersion'>,
): Promise<Manifest> {
  const { source, id, startedAt, target, encrypter, result, hooks, halts } = described;
  const manifest: Manifest = {
    format: FORMAT,
    id,
    namespace: context.storage.namespace,
    source: source.name,
    engine: source.engine,
    kind: 'full',
    parent: null,
    trigger: described.trigger,
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    backupdVersion: context.backupdVersion,
    target: targetFacts(target),
    toolVersion: result.toolVersion,
    files: described.files,
    databases: result.databases,
    encryption: encrypter.encryption,
    position: result.position,
    facts: result.facts,
    engineFacts: result.engineFacts,
    warnings: [
      ...result.warnings,
      ...encrypter.warnings,
      ...hooks.flatMap((hook) => warnOf(hook, commandTarget(target)?.container ?? '')),
    ],
    ...(hooks.length === 0 ? {} : { hooks }),
    ...(halts.length === 0 ? {} : { halts }),
    suspicious: false,
  };
  // One that a person pinned is what they expect, however small it is.
  const entries = await context.catalog.entries(source.name);
  const newest = entries.find((entry) => isGood(entry) || isPinned(entry));
  if (newest === undefined) {
    return manifest;
  }
  const last = await context.catalog.manifest(source.name, newest.manifest.id);
  refuseEmptied(last, manifest, described.isExpected);
  const shrunk = findShrinkage(last, manifest);
  const missing = findMissingDatabases(last, manifest);
  return {
    ...manifest,
    warnings: [...manifest.warnings, ...shrunk, ...missing],
    suspicious: shrunk.length > 0,
  };
}

function refuseEmptied(last: Manifest, manifest: Manifest, isExpected: boolean): void {
  const why = findEmptiedVolume(last, manifest);
  if (why !== null && !isExpected) {
    throw new BackupdError('dump-failed', `"${manifest.databases.join(', ')}" ${why}`, {
      hint: 'Docker makes an empty volume of one that is gone. Where it is meant to be empty, "backupd backup --pin" says so.',
    });
  }
}

function targetFacts(target: TargetRef): TargetFacts {
  if ('volume' in target) {
    return { volume: target.volume, made: target.made };
  }
  const { container, image, imageId, repoDigests } = target;
  return { container, image, imageId, repoDigests };
}

/** The command before has to succeed; the one after cannot make a backup worse that is there. */
function warnOf(hook: HookReport, container: string): readonly Warning[] {
  const message = hookFailure(hook, container);
  return message === null ? [] : [{ code: 'hook-failed', message }];
}
