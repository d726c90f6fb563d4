import type { App } from '../jobs/context.ts';
import type { Command, CommandOf } from './arguments.ts';
import type { Output } from './output.ts';

/** A command that works on the app and ends by itself. */
export type AppCommand = Exclude<Command, { readonly name: 'daemon' | 'version' | 'help' }>;
type Run<C> = (command: C, app: App, out: Output, signal: AbortSignal) => Promise<number>;

export interface Handler<C> {
  /** `read` changes nothing in `/backups`; `report` is the same, and does without it where it cannot be opened. */
  readonly access: 'read' | 'write' | 'report';
  /** The variables whose wrong value stops this command, beside those of a destination that it names; null: any. */
  readonly needs: readonly string[] | null;
  /** Modules are loaded when they are needed: `--version` and `--help` are to be there at once. */
  load(): Promise<Run<C>>;
}

const STORAGE = ['BACKUPD_CONFIG', 'BACKUPD_DIR', 'BACKUPD_NAMESPACE'] as const;
const DOCKER = [...STORAGE, 'DOCKER_HOST'] as const;
/** What reads archives. */
const SECRETS = [
  'BACKUPD_AGE_IDENTITY',
  'BACKUPD_GPG_SECRET_KEY',
  'BACKUPD_GPG_PASSPHRASE',
] as const;
const SWAP = [...DOCKER, 'BACKUPD_TIMEZONE'] as const;

/** Who does what; the keys are the names of the parsed commands. */
export const HANDLERS: {
  readonly [Name in AppCommand['name']]: Handler<CommandOf<Name>>;
} = {
  backup: {
    access: 'write',
    needs: null,
    load: async () => (await import('./commands/backup.ts')).backupCommand,
  },
  restore: {
    access: 'write',
    needs: [...SWAP, ...SECRETS],
    load: async () => (await import('./commands/restore.ts')).restoreCommand,
  },
  undo: {
    access: 'write',
    needs: SWAP,
    load: async () => (await import('./commands/undo.ts')).undoCommand,
  },
  'drop-previous': {
    access: 'write',
    needs: SWAP,
    load: async () => (await import('./commands/undo.ts')).dropPreviousCommand,
  },
  list: {
    access: 'read',
    needs: STORAGE,
    load: async () => (await import('./commands/list.ts')).listCommand,
  },
  show: {
    access: 'read',
    needs: STORAGE,
    load: async () => (await import('./commands/show.ts')).showCommand,
  },
  cat: {
    access: 'read',
    needs: [...STORAGE, ...SECRETS],
    load: async () => (await import('./commands/cat.ts')).catCommand,
  },
  verify: {
    access: 'read',
    needs: [...STORAGE, ...SECRETS],
    load: async () => (await import('./commands/verify.ts')).verifyCommand,
  },
  prune: {
    access: 'write',
    needs: null,
    load: async () => (await import('./commands/prune.ts')).pruneCommand,
  },
  upload: {
    access: 'write',
    needs: null,
    load: async () => (await import('./commands/upload.ts')).uploadCommand,
  },
  pin: {
    access: 'write',
    needs: STORAGE,
    load: async () => (await import('./commands/pin.ts')).pinCommand,
  },
  unpin: {
    access: 'write',
    needs: STORAGE,
    load: async () => (await import('./commands/pin.ts')).unpinCommand,
  },
  forget: {
    access: 'write',
    needs: DOCKER,
    load: async () => (await import('./commands/forget.ts')).forgetCommand,
  },
  drill: {
    access: 'write',
    needs: null,
    load: async () => (await import('./commands/drill.ts')).drillCommand,
  },
  // These report every problem themselves, also that of the directory.
  status: {
    access: 'report',
    needs: [],
    load: async () => (await import('./commands/status.ts')).statusCommand,
  },
  check: {
    access: 'report',
    needs: [],
    load: async () => (await import('./commands/check.ts')).checkCommand,
  },
  config: {
    access: 'report',
    needs: [],
    load: async () => (await import('./commands/config.ts')).configCommand,
  },
};
