/** A container that is held still while something is read or swapped, and how. */
export interface HaltedContainer {
  readonly containerId: string;
  readonly container: string;
  readonly how: 'stop' | 'pause';
  /** When it was started, as Docker says: one that was started since is not ours to start. */
  readonly startedAt: string;
}

/** Which containers to hold still, as a person names them. */
export interface HaltWish {
  readonly stop: readonly string[];
  readonly pause: readonly string[];
}

/** A container in which a command is run. */
export interface CommandTarget {
  readonly containerId: string;
  readonly container: string;
}

/** How a command in a container ended. */
export interface CommandResult {
  /** Null where nobody knows, which is a failure. */
  readonly exitCode: number | null;
  /** The end of what it printed. */
  readonly output: string;
}

/** What jobs do with the containers around a target. All of it fails with BackupdError `target-unavailable`. */
export interface Neighbours {
  /**
   * Those of the named containers that run now, those to be stopped first; what does not run is not to be started later
   * either. @throws BackupdError `usage` where a name means several of them, or backupd itself
   */
  findRunning(wish: HaltWish, signal: AbortSignal): Promise<readonly HaltedContainer[]>;
  /**
   * Stops it, as long as it wants to take for that, or pauses it.
   * @returns false where it did not run any more, so that it is not for us to start it again
   */
  halt(container: HaltedContainer, signal: AbortSignal): Promise<boolean>;
  /** Lets it run again, also where stopping it was asked for and is not over. One that is gone is no error. */
  release(container: HaltedContainer, signal: AbortSignal): Promise<void>;
  /**
   * Runs a command in a container's shell, as its default user.
   * @param run marks what it starts, as a run's other processes are marked
   */
  runCommand(
    at: CommandTarget,
    what: { readonly command: string; readonly name: string; readonly run: string },
    signal: AbortSignal,
  ): Promise<CommandResult>;
}
