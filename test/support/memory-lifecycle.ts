import { isDeepStrictEqual } from 'node:util';
import type { Lifecycle } from '../../src/core/destination-settings.ts';
import type { StoreLifecycle } from '../../src/core/lifecycle.ts';
import { find, type Store } from './memory-store.ts';

/** The rules and tags of a store in memory; what they bring about a test does. @param rules by namespace */
export function lifecycleIn(store: Store, rules: Map<string, Lifecycle>): StoreLifecycle {
  return {
    storageClass: null,
    compareRules: async (namespace, wanted) =>
      Promise.resolve(
        isDeepStrictEqual(rules.get(namespace) ?? null, wanted) ? [] : ['the rules were changed'],
      ),
    async applyRules(namespace, wanted, signal) {
      await store.ask('applyRules', namespace, signal);
      rules.delete(namespace);
      if (wanted !== null) {
        rules.set(namespace, wanted);
      }
    },
    async readTag({ key, versionId }, signal) {
      await store.ask('readTag', key, signal);
      return find(store, key, versionId)?.tag ?? null;
    },
    async writeTag({ key, versionId }, tag, signal) {
      await store.ask('writeTag', key, signal);
      const version = find(store, key, versionId);
      if (version !== null) {
        version.tag = tag;
      }
    },
  };
}
