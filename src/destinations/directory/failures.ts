import { getSystemErrorMessage } from 'node:util';
import { BackupdError } from '../../core/errors.ts';
import { hasErrorCode, isSystemError } from '../../core/system-error.ts';

/** Does the work in the directory of a destination, and turns what the file system raises into errors that name it. */
export async function inDirectory<T>(
  { name, path }: { readonly name: string; readonly path: string },
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw directoryFailure(error, { name, path });
  }
}

function directoryFailure(
  thrown: unknown,
  { name, path }: { readonly name: string; readonly path: string },
): unknown {
  if (!isSystemError(thrown)) {
    return thrown;
  }
  const { code, errno } = thrown;
  const reason = `${getSystemErrorMessage(errno)} (${code})`;
  if (hasErrorCode(thrown, 'ENOSPC', 'EDQUOT')) {
    return new BackupdError(
      'no-space',
      `destination "${name}": no space left in ${path} (${code})`,
      {
        hint: 'Free space there, or keep fewer backups in this destination.',
        cause: thrown,
      },
    );
  }
  if (hasErrorCode(thrown, 'EACCES', 'EPERM', 'EROFS')) {
    return new BackupdError(
      'destination-denied',
      `destination "${name}": ${path} cannot be used: ${reason}`,
      {
        hint: 'Let the user that backupd runs as read and write it, and mount it without ":ro".',
        cause: thrown,
      },
    );
  }
  return new BackupdError(
    'destination-unavailable',
    `destination "${name}": ${path} cannot be used: ${reason}`,
    { hint: 'Look at the disk or the NAS, and at how it is mounted.', cause: thrown },
  );
}
