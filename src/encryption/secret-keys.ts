import type { Stages } from '../core/encryption.ts';

/** The secrets of one scheme, ready to decrypt until they are disposed. */
export interface SecretKeys extends AsyncDisposable {
  /** As manifests name them. */
  readonly keyIds: readonly string[];
  /** Makes sure that one of these, all of which are among its own, can be used. @throws BackupdError `key-wrong`, `key-missing` */
  unlock(keyIds: readonly string[], signal: AbortSignal): Promise<void>;
  readonly decrypt: Stages;
}
