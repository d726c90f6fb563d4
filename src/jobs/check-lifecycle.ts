import type { Failure } from '../core/errors.ts';
import { describeEarlyDeletion } from '../core/lifecycle.ts';
import { readUploadRecord } from '../store/upload-record.ts';
import type { AtDestination } from './at-destination.ts';
import { failed, good, type Check } from './check-result.ts';
import type { ConfiguredDestination } from './context.ts';
import { wantedLifecycle } from './copy-lifecycle.ts';

/** Whether the rules of the store are those that were set, and what it costs to delete early; changes nothing. */
export async function checkLifecycle(
  { settings }: ConfiguredDestination,
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const { lifecycle, name } = destination;
  const wanted = wantedLifecycle(settings);
  const { rulesAt, retentionFailure } = await readUploadRecord(context.storage.dir, name);
  const hasRules = rulesAt === destination.place;
  const costs = describeEarlyDeletion(lifecycle?.storageClass ?? null, wanted);
  if (lifecycle === null || (wanted === null && !hasRules)) {
    return costs.length === 0 ? [] : [good('lifecycle', name, costs.join('; '))];
  }
  try {
    const { namespace } = context.storage;
    const differences = await lifecycle.compareRules(namespace, wanted, signal);
    return [judge(name, { differences, costs, hasRules, failure: retentionFailure })];
  } catch (error) {
    signal.throwIfAborted();
    return [failed('lifecycle', name, error)];
  }
}

function judge(
  name: string,
  rules: {
    readonly differences: readonly string[];
    readonly costs: readonly string[];
    readonly hasRules: boolean;
    readonly failure: Failure | null;
  },
): Check {
  const { differences, costs, hasRules, failure } = rules;
  if (differences.length === 0) {
    return good('lifecycle', name, ['the rules of the bucket are as wanted', ...costs].join('; '));
  }
  if (hasRules) {
    return {
      name: 'lifecycle',
      subject: name,
      ok: false,
      message: differences.join('; '),
      hint: `Look for who changes the rules of the bucket. The next upload sets them again: "backupd upload ${name}".`,
    };
  }
  // That the store cannot do it was learnt when they were set.
  return failure?.code === 'config-invalid'
    ? { name: 'lifecycle', subject: name, ok: false, message: failure.message, hint: failure.hint }
    : good('lifecycle', name, ['the next upload sets its rules', ...costs].join('; '));
}
