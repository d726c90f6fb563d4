import type { Job } from './job.ts';
import type { ContainerTarget, Engine } from './target.ts';

/**
 * What calls to Docker are needed for. `backup`: all that backs databases up and restores them. `halt`: containers that
 * are stopped or paused meanwhile. `scratch`: volumes as sources, and restore drills.
 */
export type CallGroup = 'backup' | 'halt' | 'scratch';

/** A call to Docker as it was tried. */
export interface TriedCall {
  /** As the API documents it: `POST /containers/{id}/exec`. */
  readonly name: string;
  readonly group: CallGroup;
  /** Whether backupd does without it: then something is not known that would be nice to know. */
  readonly isOptional: boolean;
  readonly isForbidden: boolean;
}

/** What is around and in no source. */
export interface Unsaved {
  /** Containers that look like databases and carry no label of backupd. */
  readonly databases: readonly { readonly container: string; readonly engine: Engine }[];
  /** Volumes with names, and the containers that use them. */
  readonly volumes: readonly { readonly volume: string; readonly containers: readonly string[] }[];
}

/** What only Docker itself can tell, for `check`; changes nothing. */
export interface Inspection {
  /** Where Docker is asked: the path of a socket, or host and port. */
  readonly endpoint: string;
  /** Makes every call that backupd makes to what does not exist. @throws BackupdError `target-unavailable` */
  tryCalls(signal: AbortSignal): Promise<readonly TriedCall[]>;
  /**
   * Sends a little through a process in a container and has it back, after so long a silence.
   * @throws BackupdError where it does not come back
   */
  tryStream(target: ContainerTarget, silenceMs: number, signal: AbortSignal): Promise<void>;
  /** @param jobs the sources there are @throws BackupdError `target-unavailable` */
  findUnsaved(jobs: readonly Job[], signal: AbortSignal): Promise<Unsaved>;
}
