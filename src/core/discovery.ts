/** A container as Docker lists it; running or not. */
export interface ContainerListing {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `running`, `exited`, `created`, `paused`, `restarting`... as Docker says. */
  readonly state: string;
  readonly mounts: readonly MountListing[];
}

/** A volume or a directory of the host that a container uses. */
export interface MountListing {
  /** A volume's name; a path of the host, which begins with "/". */
  readonly volume: string;
  /** What its compose file calls it; null for what is no volume of one, or where nobody asked. */
  readonly composeName: string | null;
  readonly destination: string;
}

/** Labels that Docker Compose puts on a container. */
export const COMPOSE_PROJECT = 'com.docker.compose.project';
export const COMPOSE_SERVICE = 'com.docker.compose.service';
/** And on a volume. */
export const COMPOSE_VOLUME = 'com.docker.compose.volume';
/** The label by which a container names its volumes that are backed up. */
export const VOLUMES_LABEL = 'backupd.volumes';

/** Something wrong with the configuration. */
export interface ConfigProblem {
  /** The source it concerns; null: everything. */
  readonly source: string | null;
  /** The variable, label or field: `BACKUPD_SCHEDULE`, `backupd.keep on container "shop-db-1"`. */
  readonly option: string;
  /** What is wrong: names the value (never a secret) and what was expected. */
  readonly message: string;
  readonly hint: string | null;
  /** `fatal`: nothing may start with it. `source`: that source does not run. `loud`: said, stops nothing. */
  readonly severity: 'fatal' | 'source' | 'loud';
}
