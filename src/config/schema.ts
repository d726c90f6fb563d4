import { HIDDEN } from '../core/secret.ts';
import {
  absolutePath,
  compression,
  duration,
  maxAge,
  oneOf,
  plainName,
  portOrOff,
  timeout,
  wholeNumber,
} from './formats.ts';
import { destinationNames, regionList } from './destination-formats.ts';
import { keep } from './keep-format.ts';
import {
  ageIdentity,
  ageRecipients,
  gpgPublicKeys,
  gpgSecretKeys,
  passphrase,
} from './key-formats.ts';
import { notifySchema } from './notify-schema.ts';
import { option, type GlobalOption } from './option.ts';
import { schedule, timezone } from './schedule-format.ts';
import { hideCredentials } from './sources-url.ts';

/** Every option of backupd as a whole, by its key in the configuration file. */
export const globalSchema = {
  sources: option({
    doc: 'Sources that have no labels, as `name=engine://container[/database[,database]]` with white space between them. Parts with special characters are percent-encoded. In the file `sources:` is a mapping instead, see below.',
    default: null,
    env: 'BACKUPD_SOURCES',
    kind: {
      expected: 'name=engine://container[/database[,database]], several separated by white space',
      parse: (text: string) => text,
    },
    show: hideCredentials,
  }),
  discover: option({
    doc: 'Where labelled containers are looked for: `project` is the compose project that backupd itself runs in (outside compose: nowhere), `host` every container of the Docker host, whose sources are then named `<project>-<service>`, `off` nowhere.',
    default: 'project',
    env: 'BACKUPD_DISCOVER',
    kind: oneOf(['project', 'host', 'off']),
  }),
  namespace: option({
    doc: 'Whose backups these are. It is recorded in `/backups` at the first start and in every backup; a directory has one namespace, and another one is refused.',
    default: null,
    otherwise: 'as recorded in `/backups`, else the compose project, else `default`',
    env: 'BACKUPD_NAMESPACE',
    kind: plainName,
  }),
  schedule: option({
    doc: 'When sources are backed up: cron patterns of 5 fields, or 6 with seconds first, or `@hourly`, `@daily` and so on, several separated by `;`. A source that has no backup yet runs within a minute. `off`: never by itself, and then it is not overdue either unless `BACKUPD_MAX_AGE` is a duration.',
    default: '0 2 * * *',
    env: 'BACKUPD_SCHEDULE',
    kind: schedule,
  }),
  timezone: option({
    doc: 'The time zone of schedules, of the days, weeks and months that retention counts, and of instants typed without an offset.',
    default: 'UTC',
    otherwise: '`TZ`, else `UTC`',
    env: 'BACKUPD_TIMEZONE',
    kind: timezone,
  }),
  catchUp: option({
    doc: 'How late a run that was missed (the host was off) is still made up for.',
    default: '24h',
    env: 'BACKUPD_CATCH_UP',
    kind: duration,
  }),
  jitter: option({
    doc: 'Up to how long after its time a scheduled backup begins, so that many do not begin at once. How long it is for a source is always the same.',
    default: '0s',
    env: 'BACKUPD_JITTER',
    kind: duration,
  }),
  timeout: option({
    doc: 'How long one backup may take before it is cancelled.',
    default: '6h',
    env: 'BACKUPD_TIMEOUT',
    kind: timeout,
  }),
  concurrency: option({
    doc: 'How many backups run at once; never two of one source.',
    default: '1',
    env: 'BACKUPD_CONCURRENCY',
    kind: wholeNumber(1, 64),
  }),
  keep: option({
    doc: 'Which backups are kept, see "What is kept" below.',
    default: 'hourly=24 daily=7 weekly=4 monthly=12',
    env: 'BACKUPD_KEEP',
    kind: keep,
  }),
  dir: option({
    doc: 'Where the backups are: a directory inside the backupd container, on a volume or a mount. Files get mode 0600, folders 0700.',
    default: '/backups',
    env: 'BACKUPD_DIR',
    kind: absolutePath,
  }),
  compression: option({
    doc: 'How archives are compressed; a higher level is smaller and slower.',
    default: 'zstd:3',
    env: 'BACKUPD_COMPRESSION',
    kind: compression,
  }),
  compressIn: option({
    doc: 'Where that happens: `target` is inside the container of the database, which needs the `zstd` program and sends less through Docker, `backupd` is here, `auto` the target where it can and else here.',
    default: 'auto',
    env: 'BACKUPD_COMPRESS_IN',
    kind: oneOf(['auto', 'target', 'backupd']),
  }),
  facts: option({
    doc: 'What is recorded of the data, so that a restore can be compared with it: `exact` counts the rows of every table, `estimate` takes the numbers that the server has anyway, `off` nothing.',
    default: 'exact',
    env: 'BACKUPD_FACTS',
    kind: oneOf(['exact', 'estimate', 'off']),
  }),
  maxAge: option({
    doc: 'When a source counts as overdue: a multiple of the time between two of its runs, or a duration.',
    default: '1.5x',
    env: 'BACKUPD_MAX_AGE',
    kind: maxAge,
  }),
  destinations: option({
    doc: 'Where copies are sent to, by name, besides the destination `s3`, which has variables of its own. In the file `destinations:` is a mapping instead, see below.',
    default: null,
    env: 'BACKUPD_DESTINATIONS',
    kind: destinationNames,
  }),
  uploadSchedule: option({
    doc: 'When copies are sent to destinations, as `BACKUPD_SCHEDULE` says it; or `off`.',
    default: '0 */6 * * *',
    env: 'BACKUPD_UPLOAD_SCHEDULE',
    kind: schedule,
  }),
  allowedRegions: option({
    doc: 'The regions that buckets may be in. One that is elsewhere, or whose store does not say where it is, gets nothing. Directories have no region, and are not asked.',
    default: null,
    otherwise: 'any',
    env: 'BACKUPD_ALLOWED_REGIONS',
    kind: regionList,
  }),
  ...notifySchema,
  drillSchedule: option({
    doc: 'When a backup of each source is restored into a scratch container and compared, to prove that it can be ([drills.md](drills.md)), as `BACKUPD_SCHEDULE` says it; or `off`.',
    default: '0 4 1 * *',
    env: 'BACKUPD_DRILL_SCHEDULE',
    kind: schedule,
  }),
  rpo: option({
    doc: 'How much work may be lost at the most, as a duration: `status` compares the age of the last good backup with it, and says where it is older.',
    default: null,
    env: 'BACKUPD_RPO',
    kind: duration,
  }),
  rto: option({
    doc: 'How long getting the data back may take, as a duration: `status` compares the time that the last drill took with it.',
    default: null,
    env: 'BACKUPD_RTO',
    kind: duration,
  }),
  httpPort: option({
    doc: 'The port of the status page (`/`), `/api/status`, `/metrics`, `/healthz` and `/readyz`; it only ever shows, nothing can be changed through it. `off`: none.',
    default: '9321',
    env: 'BACKUPD_HTTP_PORT',
    kind: portOrOff,
  }),
  logLevel: option({
    doc: 'How much is logged.',
    default: 'info',
    env: 'BACKUPD_LOG_LEVEL',
    kind: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
  }),
  logFormat: option({
    doc: 'How it is logged: `json` is one object a line, `pretty` is for reading, `auto` is `pretty` with a terminal and `json` without one.',
    default: 'auto',
    env: 'BACKUPD_LOG_FORMAT',
    kind: oneOf(['auto', 'json', 'pretty']),
  }),
  ageRecipients: option({
    doc: 'With it every archive is encrypted, for all of these public keys of age ([keys.md](keys.md)).',
    default: null,
    env: 'BACKUPD_AGE_RECIPIENTS',
    kind: ageRecipients,
    show: (text) => ageRecipients.parse(text).join(' '),
    emptyIsWrong: true,
  }),
  ageIdentity: option({
    doc: 'The secret of age. It is needed to read only: keep it away from here ([keys.md](keys.md)).',
    default: null,
    env: 'BACKUPD_AGE_IDENTITY',
    kind: ageIdentity,
    show: () => HIDDEN,
  }),
  gpgRecipientKeys: option({
    doc: 'With it every archive is encrypted by gpg, for all of these public keys. Not together with `BACKUPD_AGE_RECIPIENTS`.',
    default: null,
    env: 'BACKUPD_GPG_RECIPIENT_KEYS',
    kind: gpgPublicKeys,
    show: () => '[armoured]',
    emptyIsWrong: true,
  }),
  gpgSecretKey: option({
    doc: 'The secret of gpg, needed to read only.',
    default: null,
    env: 'BACKUPD_GPG_SECRET_KEY',
    kind: gpgSecretKeys,
    show: () => HIDDEN,
  }),
  gpgPassphrase: option({
    doc: 'What protects that secret, if anything does.',
    default: null,
    env: 'BACKUPD_GPG_PASSPHRASE',
    kind: passphrase,
    show: () => HIDDEN,
  }),
  config: option({
    doc: 'A configuration file, YAML or JSON, inside the backupd container. This option is a variable only.',
    default: null,
    env: 'BACKUPD_CONFIG',
    kind: absolutePath,
  }),
};

export type GlobalKey = keyof typeof globalSchema;

/** The values of all global options, read. */
export type GlobalValues = {
  readonly [K in GlobalKey]: (typeof globalSchema)[K] extends GlobalOption<infer T, infer Default>
    ? Default extends string
      ? T
      : T | null
    : never;
};
