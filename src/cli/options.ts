export interface OptionSpec {
  readonly type: 'boolean' | 'string';
  /** What stands for the value in the usage line. */
  readonly value?: string;
  readonly multiple?: boolean;
  readonly about: string;
}

/** Every option there is; a name means the same wherever it is taken. */
export const OPTIONS = {
  pin: { type: 'boolean', about: 'keep these backups whatever retention says' },
  at: {
    type: 'string',
    value: 'latest|ID|TIME',
    about:
      'latest (the default), an id or a unique beginning of one, or an instant such as 2026-11-22T02:00: the newest backup begun at or before it',
  },
  database: {
    type: 'string',
    value: 'NAME',
    multiple: true,
    about: 'this database only; may be given several times',
  },
  as: { type: 'string', value: 'NEW', about: 'restore the one database under another name' },
  into: {
    type: 'string',
    value: 'CONTAINER',
    about: "a compose service of backupd's own project, else an exact container name",
  },
  stop: {
    type: 'string',
    value: 'CONTAINER',
    multiple: true,
    about:
      'stop this container before the swap and start it again after it; may be given several times',
  },
  from: {
    type: 'string',
    value: 'DESTINATION',
    about: 'what this destination holds: s3, or the name of another one',
  },
  tier: {
    type: 'string',
    value: 'TIER',
    about: 'how fast archived files are asked back: expedited, standard (the default) or bulk',
  },
  undo: { type: 'boolean', about: 'swap back what the last restore replaced; twice is a redo' },
  'drop-previous': { type: 'boolean', about: 'drop for good what restores replaced and kept' },
  'take-over': {
    type: 'boolean',
    about: 'make this /backups the owner of its namespace there, whoever was it',
  },
  notify: { type: 'boolean', about: 'send a test through every channel of alarms' },
  'dry-run': { type: 'boolean', about: 'say what would be done, and do nothing' },
  yes: { type: 'boolean', about: 'do not ask' },
  wait: {
    type: 'string',
    value: 'DURATION',
    about:
      'wait so long (30s, 10m) for another run of the source or at the destination, and for archived files; without it: do not wait',
  },
  silence: {
    type: 'string',
    value: 'DURATION',
    about:
      'leave a connection to Docker quiet for so long (11m), to see whether something before it cuts it',
  },
  json: { type: 'boolean', about: 'one JSON document on stdout and nothing else' },
  help: { type: 'boolean', about: 'this text' },
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;

/** Options that every command takes. */
export const COMMON_OPTIONS = ['json', 'help'] as const satisfies readonly OptionName[];
