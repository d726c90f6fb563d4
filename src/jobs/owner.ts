import { hostname } from 'node:os';
import { BackupdError } from '../core/errors.ts';
import { ownerKey } from '../core/remote-keys.ts';
import type { AtDestination } from './at-destination.ts';

/** Which `/backups` a namespace belongs to at a destination. */
interface Owner {
  readonly identity: string;
  readonly hostname: string;
  /** ISO 8601, UTC. */
  readonly since: string;
}

/**
 * Makes this `/backups` the owner of its namespace there where it has none; whoever does so at the same moment is found
 * by reading back.
 * @returns whether it had none
 * @throws BackupdError `locked` where it is somebody else's
 */
export async function claimNamespace(at: AtDestination, signal: AbortSignal): Promise<boolean> {
  const isNew = (await readOwner(at, signal)) === null;
  if (isNew) {
    await putOwner(at, { ifAbsent: true }, signal);
  }
  await checkOwner(at, signal);
  return isNew;
}

/**
 * Makes this `/backups` the owner whoever was it before, who stops at the next backup.
 * @returns whether nobody was
 */
export async function takeNamespace(at: AtDestination, signal: AbortSignal): Promise<boolean> {
  const { context, destination } = at;
  const owner = await readOwner(at, signal);
  if (owner === null || !isOurs(owner, at)) {
    await putOwner(at, { ifAbsent: false }, signal);
    context.emit({
      type: 'namespace-taken',
      source: null,
      destination: destination.name,
      from: owner === null ? null : describeOwner(owner),
    });
  }
  await checkOwner(at, signal);
  return owner === null;
}

/** @throws BackupdError `locked` where the namespace there is not, or no longer, that of this `/backups` */
export async function checkOwner(at: AtDestination, signal: AbortSignal): Promise<void> {
  const owner = await readOwner(at, signal);
  if (owner !== null && isOurs(owner, at)) {
    return;
  }
  const { destination, context } = at;
  const { namespace } = context.storage;
  const whose =
    owner === null
      ? 'has no owner any more'
      : owner === 'unreadable'
        ? 'has an owner that cannot be read'
        : `belongs to ${describeOwner(owner)}`;
  throw new BackupdError('locked', `namespace "${namespace}" at ${destination.name} ${whose}`, {
    hint: `Where that host is still in use, give this one another BACKUPD_NAMESPACE or another prefix. Where this one replaces it, run "backupd upload ${destination.name} --take-over".`,
  });
}

/**
 * Who owns the namespace there, for people.
 * @returns null: nobody yet
 */
export async function findOwner(
  at: AtDestination,
  signal: AbortSignal,
): Promise<{ readonly isOurs: boolean; readonly text: string } | null> {
  const owner = await readOwner(at, signal);
  return owner === null ? null : { isOurs: isOurs(owner, at), text: describeOwner(owner) };
}

type SeenOwner = Owner | 'unreadable';

function isOurs(owner: SeenOwner, { context }: AtDestination): boolean {
  return owner !== 'unreadable' && owner.identity === context.storage.identity;
}

function describeOwner(owner: SeenOwner): string {
  return owner === 'unreadable'
    ? 'somebody whose record cannot be read'
    : `the /backups of host ${owner.hostname}, since ${owner.since}`;
}

async function readOwner(
  { context, destination }: AtDestination,
  signal: AbortSignal,
): Promise<SeenOwner | null> {
  const bytes = await destination.get(ownerKey(context.storage.namespace), null, signal);
  if (bytes === null) {
    return null;
  }
  try {
    const { identity, hostname, since } = JSON.parse(bytes.toString('utf8')) as Partial<Owner>;
    return typeof identity === 'string' && typeof hostname === 'string' && typeof since === 'string'
      ? { identity, hostname, since }
      : 'unreadable';
  } catch {
    // Not JSON: somebody else's, until a person says otherwise.
    return 'unreadable';
  }
}

async function putOwner(
  { context, destination }: AtDestination,
  how: { readonly ifAbsent: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { identity, namespace } = context.storage;
  const owner: Owner = { identity, hostname: hostname(), since: new Date().toISOString() };
  await destination.put(
    ownerKey(namespace),
    Buffer.from(`${JSON.stringify(owner, null, 2)}\n`),
    how,
    signal,
  );
}
