/** The container that backupd itself runs in. */
export interface OwnContainer {
  readonly name: string;
  /** As it was named when the container was made. */
  readonly image: string;
  readonly mounts: readonly {
    /** `volume`, `bind`, `tmpfs`... */
    readonly type: string;
    /** Of a volume; null for what is none. */
    readonly name: string | null;
    readonly source: string;
    readonly destination: string;
  }[];
}
