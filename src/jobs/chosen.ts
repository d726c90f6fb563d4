import type { Manifest, Warning } from '../core/manifest.ts';
import type { Copy } from './find-copy.ts';

/** What is to be restored, as far as that says which backup. */
export interface Wish {
  /** Null: the only one there is. */
  readonly source: string | null;
  /** `latest`, an id or the beginning of one, or an instant. */
  readonly at: string;
  /** The destination whose backups count; null: those here. */
  readonly from: string | null;
}

/** The backup that is restored. */
export interface Chosen {
  readonly manifest: Manifest;
  /** What it lacks of the instant asked for; null where nothing. */
  readonly gap: string | null;
  /** Where it is to be fetched from first; null: it is here. */
  readonly copy: Copy | null;
  /** What is wrong with its files here at a glance; null: nothing, or it is fetched. */
  readonly damage: string | null;
  readonly warnings: readonly Warning[];
}
