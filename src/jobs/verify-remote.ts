import { isDeepStrictEqual } from 'node:util';
import type { StoredAt } from '../archive/read-archive.ts';
import type { Receipt } from '../core/catalog-entry.ts';
import { sentFiles } from '../core/copies.ts';
import type { Destination } from '../core/destination.ts';
import type { KeyRing } from '../core/encryption.ts';
import { BackupdError, toFailure, type Failure } from '../core/errors.ts';
import { MANIFEST_FILE, resolveId } from '../core/layout.ts';
import type { ArchiveFile, Manifest } from '../core/manifest.ts';
import {
  findRemoteSources,
  readRemoteManifest,
  type RemoteEntry,
  type RemoteLook,
} from '../store/remote-catalog.ts';
import { lookAt } from './find-copy.ts';
import { namedDestination } from './named-destination.ts';
import { remoteFile } from './remote-file.ts';
import { readBackup, type Verification, type VerifyApp, type VerifyRequest } from './verify.ts';

/**
 * Reads the copies at a destination, newest first, without keeping anything of them. Of one that is not whole it is written
 * down here that it is lost, so that it is sent again; of a whole one that it was read. What is wrong with one does not keep the others from being read.
 * @throws BackupdError `backup-not-found` or `usage` for an id, `source-not-found`, `cancelled`, what the destination throws
 */
export async function verifyCopies(
  { from, ...request }: VerifyRequest & { readonly from: string },
  app: VerifyApp,
  signal: AbortSignal,
): Promise<readonly Verification[]> {
  const destination = await namedDestination(from, app.context.destinations);
  const look = await lookAt(destination, request.source, app.context, signal);
  await using ring = app.context.keys.ring();
  const verifications: Verification[] = [];
  if (request.source !== null && look.sources.length === 0) {
    const all = await findRemoteSources(destination, app.context.storage.namespace, signal);
    throw new BackupdError(
      'source-not-found',
      `${from} has no backups of a source "${request.source}"`,
      { hint: all.length === 0 ? 'It has none at all.' : `There are: ${all.join(', ')}.` },
    );
  }
  for (const copy of chooseCopies(request, look)) {
    const verification =
      'error' in copy
        ? notRead(copy.source, copy.id, withHint(copy.error))
        : await verifyCopy(copy, destination, { ...app, ring }, signal);
    if (verification !== null) {
      const { source, id, failure } = verification;
      app.context.emit({ type: 'verified', source, id, failure });
      await writeDown(verification, destination, app);
      verifications.push(verification);
    }
  }
  return verifications;
}

type SomeCopy = RemoteEntry | RemoteLook['unreadable'][number];

/** Newest first. What has no manifest is no backup: its upload is under way, or was interrupted. */
function chooseCopies({ id }: VerifyRequest, look: RemoteLook): readonly SomeCopy[] {
  const copies: readonly SomeCopy[] = [
    ...look.entries,
    ...look.unreadable.filter(({ error }) => error.code !== 'backup-not-found'),
  ];
  if (id === null) {
    return copies.toSorted((one, other) => (idOf(one) < idOf(other) ? 1 : -1));
  }
  const [of, typed = of] = id.split('/');
  const wanted = copies.filter((copy) => typed === id || sourceOf(copy) === of);
  const found = resolveId(typed ?? '', wanted.map(idOf));
  return wanted.filter((copy) => idOf(copy) === found);
}

function idOf(copy: SomeCopy): RemoteEntry['manifest']['id'] {
  return 'error' in copy ? copy.id : copy.manifest.id;
}

function sourceOf(copy: SomeCopy): string {
  return 'error' in copy ? copy.source : copy.manifest.source;
}

function notRead(source: string, id: Verification['id'], failure: Failure): Verification {
  return { id, source, ok: false, depth: 'stored', checkedBytes: 0, failure };
}

/** Reads one copy to its end; null for one that is gone meanwhile. @throws the signal's reason */
export async function verifyCopy(
  entry: RemoteEntry,
  destination: Destination,
  app: VerifyApp & { readonly ring: KeyRing },
  signal: AbortSignal,
): Promise<Verification | null> {
  const { source, id } = entry.manifest;
  if (entry.flaw !== null) {
    const message = `${id} at ${destination.name}: ${entry.flaw}`;
    return notRead(source, id, { code: 'archive-corrupt', message, hint: FLAW_HINT });
  }

  function at(file: ArchiveFile): StoredAt {
    return remoteFile({ destination, entry, file }, signal);
  }

  try {
    const manifest = await readRemoteManifest(destination, entry, signal);
    if (await wasAltered(manifest, { entry, destination }, app.context.catalog)) {
      const message = `${id} at ${destination.name}: its ${MANIFEST_FILE} was altered or replaced there`;
      return notRead(source, id, { code: 'archive-corrupt', message, hint: FLAW_HINT });
    }
    return await readBackup(manifest, { ...app, at }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const failure = toFailure(error);
    return failure.code === 'backup-not-found' ? null : notRead(source, id, failure);
  }
}

/**
 * Whether a manifest is not the one that was sent: what says of the files what they are is held against nothing else. Told
 * only where the backup is here, too, and by both: other marks than it was sent with are those of a disk that was copied, and
 * other content alone may be that of the manifest here.
 */
async function wasAltered(
  there: Manifest,
  { entry, destination }: { readonly entry: RemoteEntry; readonly destination: Destination },
  catalog: VerifyApp['context']['catalog'],
): Promise<boolean> {
  const { source, id } = there;
  const here = (await catalog.entries(source)).find(({ manifest }) => manifest.id === id);
  if (here === undefined) {
    return false;
  }
  const sent = sentFiles(here, destination.name).find(({ name }) => name === MANIFEST_FILE);
  if (sent === undefined || sent.etag === entry.manifestVersion.etag) {
    return false;
  }
  try {
    return !isDeepStrictEqual(await catalog.manifest(source, id), there);
  } catch (error) {
    if (error instanceof BackupdError) {
      // What is wrong with the one here is found by a verification here, and says nothing of the copy.
      return false;
    }
    throw error;
  }
}

const FLAW_HINT = 'Where the backup is still here, the next upload sends it again.';

function withHint(error: BackupdError): Failure {
  const failure = toFailure(error);
  return { ...failure, hint: failure.hint ?? FLAW_HINT };
}

/** Only of a backup that is here too; elsewhere there is nothing that could be sent again. */
export async function writeDown(
  verification: Verification,
  { name }: Pick<Destination, 'name'>,
  { context: { catalog } }: Pick<VerifyApp, 'context'>,
): Promise<void> {
  const { source, id } = verification;
  const receipt = receiptOf(verification, name);
  const here = (await catalog.entries(source)).some(({ manifest }) => manifest.id === id);
  if (here && receipt !== null) {
    // What was found counts more than that this could not be written down: it is told either way.
    await catalog.addReceipt({ manifest: { source, id } }, receipt).catch(() => null);
  }
}

/** Null where nothing was learnt of the copy: what could not be read may be whole. */
function receiptOf({ depth, failure }: Verification, destination: string): Receipt | null {
  const at = new Date().toISOString();
  if (failure === null) {
    return { type: 'sampled', at, destination, depth };
  }
  return failure.code === 'archive-corrupt'
    ? { type: 'lost', at, destination, message: failure.message }
    : null;
}
