import { randomBytes } from 'node:crypto';
import { CLOCKS_APART_MS, describeClocks } from '../core/clocks.ts';
import { formatDuration } from '../core/duration.ts';
import { BackupdError } from '../core/errors.ts';
import { probeKey } from '../core/remote-keys.ts';
import { reachDestination, type AtDestination } from './at-destination.ts';
import { checkLifecycle } from './check-lifecycle.ts';
import { failed, good, type Check } from './check-result.ts';
import type { ConfiguredDestination, JobContext } from './context.ts';
import { findOwner } from './owner.ts';

/** Whether copies can be sent to a destination and removed there; leaves nothing behind. */
export async function checkDestination(
  configured: ConfiguredDestination,
  context: JobContext,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const subject = configured.settings.name;
  let at: AtDestination;
  try {
    at = await reachDestination(configured, context, signal);
  } catch (error) {
    return [failed('destination', subject, error)];
  }
  return [
    good('destination', subject, describePlace(at)),
    ...checkClock(at),
    await checkOwner(at, signal),
    await checkAccess(at, signal),
    ...(await checkLifecycle(configured, at, signal)),
  ];
}

function describePlace({ destination, facts }: AtDestination): string {
  const { region, isOffsite, keepsVersions, locksObjects } = facts;
  return [
    destination.place,
    ...(region === null ? [] : [`in ${region}`]),
    isOffsite ? 'off-site' : 'not off-site',
    ...(keepsVersions === true ? ['keeps versions'] : []),
    ...(locksObjects === true ? ['locks objects'] : []),
  ].join(', ');
}

function checkClock({ destination, facts }: AtDestination): readonly Check[] {
  const { clockAheadMs } = facts;
  const subject = destination.name;
  if (clockAheadMs === null) {
    return [];
  }
  if (Math.abs(clockAheadMs) > CLOCKS_APART_MS) {
    const message = describeClocks(clockAheadMs, Date.now());
    const hint = 'Set the clock of this host right, best by NTP.';
    return [failed('clock', subject, new BackupdError('unhealthy', message, { hint }))];
  }
  const apart = formatDuration(Math.abs(clockAheadMs));
  return [
    good('clock', subject, `the clock there is ${apart} ${clockAheadMs < 0 ? 'behind' : 'ahead'}`),
  ];
}

async function checkOwner(at: AtDestination, signal: AbortSignal): Promise<Check> {
  const subject = at.destination.name;
  const { namespace } = at.context.storage;
  try {
    const owner = await findOwner(at, signal);
    if (owner === null) {
      return good('owner', subject, `namespace "${namespace}" there has no owner yet`);
    }
    if (owner.isOurs) {
      return good('owner', subject, `namespace "${namespace}" there is that of this /backups`);
    }
    return failed(
      'owner',
      subject,
      new BackupdError('locked', `namespace "${namespace}" there belongs to ${owner.text}`, {
        hint: `Where that host is still in use, give this one another BACKUPD_NAMESPACE. Where this one replaces it, run "backupd upload ${subject} --take-over".`,
      }),
    );
  } catch (error) {
    return failed('owner', subject, error);
  }
}

/** Rights are told by using them: something is written, read back and removed for good. */
async function checkAccess(at: AtDestination, signal: AbortSignal): Promise<Check> {
  const { destination, context, facts } = at;
  const subject = destination.name;
  try {
    await list(at, signal);
  } catch (error) {
    return failed('access', subject, error);
  }
  if (facts.locksObjects === true) {
    return good(
      'access',
      subject,
      'can be listed; not tried more: what is written there is locked, and would stay',
    );
  }
  const key = probeKey(context.storage.namespace, randomBytes(4).toString('hex'));
  const bytes = Buffer.from('backupd check\n');
  try {
    await destination.put(key, bytes, { ifAbsent: false }, signal);
    const { versionId, read } = await readBack(key, at, signal);
    const { outcome } = await destination.remove(key, versionId, signal);
    if (!(read instanceof Buffer)) {
      return failed('access', subject, read);
    }
    if (!read.equals(bytes)) {
      throw new BackupdError('destination-unavailable', 'it did not give back what was written', {
        hint: 'Something between here and there changes what is sent: look for it.',
      });
    }
    return outcome === 'removed'
      ? good('access', subject, 'can be listed, written, read and removed')
      : good('access', subject, `can be listed, written and read; what was written is ${outcome}`);
  } catch (error) {
    return failed('access', subject, error);
  }
}

/** As uploads and retention do; a page of each is enough. */
async function list(
  { destination, context, facts }: AtDestination,
  signal: AbortSignal,
): Promise<void> {
  const prefix = `${context.storage.namespace}/`;
  await destination.list(prefix, signal)[Symbol.asyncIterator]().next();
  if (facts.keepsVersions === true) {
    await destination.listVersions(prefix, signal)[Symbol.asyncIterator]().next();
  }
}

/** What keeps it from being read must not keep it from being removed. */
async function readBack(
  key: string,
  { destination }: AtDestination,
  signal: AbortSignal,
): Promise<{ readonly versionId: string | null; readonly read: unknown }> {
  let versionId: string | null = null;
  try {
    versionId = (await destination.head(key, null, signal))?.versionId ?? null;
    const bytes = await destination.get(key, null, signal);
    return { versionId, read: bytes ?? Buffer.alloc(0) };
  } catch (error) {
    return { versionId, read: error };
  }
}
