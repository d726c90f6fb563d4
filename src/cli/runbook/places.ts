import { variablesOf } from '../../core/destination-settings.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { OwnContainer } from '../../core/own-container.ts';
import type { Runbook, RunbookDestination } from '../../jobs/runbook.ts';
import { quote } from './markdown.ts';

const SOCKET = '/var/run/docker.sock';

/** The words of commands that are the same all over a runbook. */
export interface Places {
  /** The container of backupd. */
  readonly container: string;
  readonly image: string;
  /** The volume or folder with the backups, for `-v`. */
  readonly backups: string;
  /** The option that gives a container of backupd the socket. */
  readonly socket: string;
}

/** As the documents have it. */
const USUAL: OwnContainer = { name: 'backupd', image: 'backupd', mounts: [] };

export function placesOf({ own, dir }: Pick<Runbook, 'own' | 'dir'>): Places {
  const { name, image, mounts } = own ?? USUAL;
  const backups = mounts.find(({ destination }) => destination === dir);
  const socket = mounts.find(({ destination }) => destination === SOCKET);
  return {
    container: name,
    image: quote(image),
    backups: quote(backups?.name ?? backups?.source ?? 'backups'),
    socket: `-v ${quote(socket?.source ?? SOCKET)}:${SOCKET}`,
  };
}

/** Where a backup came from, for people. */
export function targetOf({ target }: Pick<Manifest, 'target'>): string {
  return 'volume' in target ? target.volume : target.container;
}

/** What a command has to be given so that it can read what is encrypted; empty where nothing is. */
export function keyOption(latest: Manifest | null): string {
  const options = {
    none: '',
    age: ' -e BACKUPD_AGE_IDENTITY',
    gpg: ' -e BACKUPD_GPG_SECRET_KEY -e BACKUPD_GPG_PASSPHRASE',
  };
  return options[latest?.encryption.scheme ?? 'none'];
}

/** The variables by which backupd finds a destination on another host; secrets are left to be filled in. */
export function variablesFor(
  { settings: { name, place } }: RunbookDestination,
  namespace: string,
): readonly string[] {
  const prefix = variablesOf(name);
  const named = name === 's3' ? [] : [`BACKUPD_DESTINATIONS=${name}`];
  const own =
    place.kind === 'directory'
      ? [`${prefix}PATH=/copies`]
      : [
          `${prefix}BUCKET=${place.bucket}`,
          ...(place.prefix === '' ? [] : [`${prefix}PREFIX=${place.prefix}`]),
          ...(place.endpoint === null ? [] : [`${prefix}ENDPOINT=${place.endpoint}`]),
          ...(place.region === null ? [] : [`${prefix}REGION=${place.region}`]),
          `${prefix}ACCESS_KEY_ID=`,
          `${prefix}SECRET_ACCESS_KEY=`,
        ];
  return [...named, ...own, `BACKUPD_NAMESPACE=${namespace}`];
}

/** `docker run` of backupd on a host that has nothing but the image. */
export function elsewhere(
  { settings }: RunbookDestination,
  places: Places,
  { own }: Pick<Runbook, 'own'>,
  more = '',
): string {
  const { name, place } = settings;
  const mounted =
    place.kind === 'directory' ? ` -v ${quote(hostPath(place.path, own))}:/copies` : '';
  return `docker run --rm ${places.socket} -v backups:/backups${mounted} --env-file=${name}.env${more} ${places.image}`;
}

/** Where a folder of the container is on the host. */
function hostPath(path: string, own: Runbook['own']): string {
  const mount = own?.mounts
    .filter(({ destination }) => path === destination || path.startsWith(`${destination}/`))
    .toSorted((one, other) => other.destination.length - one.destination.length)[0];
  return mount === undefined
    ? path
    : `${mount.name ?? mount.source}${path.slice(mount.destination.length)}`;
}
