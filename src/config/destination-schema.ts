import { DESTINATION_PREFIX, S3_PREFIX, variablesOf } from '../core/destination-settings.ts';
import { HIDDEN } from '../core/secret.ts';
import {
  bucketName,
  certificates,
  endpoint,
  keyPrefix,
  lifecycle,
  objectLock,
  rate,
  regionName,
  storageClass,
} from './destination-formats.ts';
import { absolutePath, anyText, yesOrNo, type Format } from './formats.ts';
import { keep } from './keep-format.ts';
import { schedule } from './schedule-format.ts';
import { toSnakeCase } from './source-schema.ts';
import { hideCredentials } from './sources-url.ts';

/** One option of one destination; given by a variable or in the file. */
export interface DestinationOption<T> {
  readonly doc: string;
  readonly kind: Format<T>;
  /** What holds where it is given nowhere. */
  readonly otherwise: string;
  /** Which destinations have it. */
  readonly of: 's3' | 'directory' | 'both';
  /** How its value is shown; absent: as it is. */
  readonly show?: (text: string) => string;
}

function hidden(): string {
  return HIDDEN;
}

/** Every option of a destination, by its key in the configuration file. */
export const destinationSchema = {
  bucket: {
    doc: 'The bucket. It is never made by backupd.',
    kind: bucketName,
    otherwise: 'a destination has either this or a path',
    of: 's3',
  },
  path: {
    doc: 'A directory inside the backupd container instead of a bucket: a NAS, a second disk. It must be on another disk than `/backups`. Not for the destination `s3`.',
    kind: absolutePath,
    otherwise: 'a destination has either this or a bucket',
    of: 'directory',
  },
  prefix: {
    doc: 'What stands before every key.',
    kind: keyPrefix,
    otherwise: 'nothing',
    of: 's3',
  },
  endpoint: {
    doc: 'The address of the store.',
    kind: endpoint,
    otherwise: '`AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, else AWS',
    of: 's3',
    show: hideCredentials,
  },
  region: {
    doc: 'The region of the bucket.',
    kind: regionName,
    otherwise: 'as `AWS_REGION` and the files of AWS say; other stores: `us-east-1`',
    of: 's3',
  },
  accessKeyId: {
    doc: 'The id of the access key.',
    kind: anyText,
    otherwise: 'the standard AWS chain: variables, files, roles',
    of: 's3',
  },
  secretAccessKey: {
    doc: 'The secret of the access key.',
    kind: anyText,
    otherwise: 'the standard AWS chain',
    of: 's3',
    show: hidden,
  },
  storageClass: {
    doc: 'The class of archives. Manifests and receipts are always in the standard class.',
    kind: storageClass,
    otherwise: '`STANDARD_IA` on AWS, else none is named',
    of: 's3',
  },
  pathStyle: {
    doc: 'Whether the bucket is named in the path, and not in the host.',
    kind: yesOrNo,
    otherwise: '`false` on AWS, else `true`',
    of: 's3',
  },
  ca: {
    doc: 'Certificates of authorities that are trusted for this store besides the usual ones.',
    kind: certificates,
    otherwise: 'none',
    of: 's3',
    show: hidden,
  },
  uploadSchedule: {
    doc: 'When copies are sent to it.',
    kind: schedule,
    otherwise: '`BACKUPD_UPLOAD_SCHEDULE`',
    of: 'both',
  },
  keep: {
    doc: 'Which backups are sent to it and kept there.',
    kind: keep,
    otherwise: 'as it is kept in `/backups`',
    of: 'both',
  },
  rate: {
    doc: 'How many bytes per second are sent to it at most.',
    kind: rate,
    otherwise: 'as many as go',
    of: 'both',
  },
  offsite: {
    doc: 'Whether it is away from here, for the 3-2-1 rule.',
    kind: yesOrNo,
    otherwise: '`true` for a store with public addresses, else `false`',
    of: 'both',
  },
  objectLock: {
    doc: 'Locks what is sent, so that nobody can delete or change it before its time. The bucket must have been made with object lock.',
    kind: objectLock,
    otherwise: 'as the bucket does by itself',
    of: 's3',
  },
  lifecycle: {
    doc: 'What the store is to do with archives by itself: `glacier` and other classes move them there at that age, `expire` deletes at that age what retention gave up, which then is not deleted at once.',
    kind: lifecycle,
    otherwise: 'off',
    of: 's3',
  },
} as const satisfies Record<string, DestinationOption<unknown>>;

export type DestinationKey = keyof typeof destinationSchema;

/** What was given for an option, and where. */
export interface GivenValue {
  readonly value: string;
  readonly option: string;
  readonly from: string;
}

/** What was given for a destination. */
export type Given = Readonly<Partial<Record<DestinationKey, GivenValue>>>;

/** The values of the options that a destination has, read. */
export type DestinationValues = {
  readonly [K in DestinationKey]?: ReturnType<(typeof destinationSchema)[K]['kind']['parse']>;
};

export const DESTINATION_KEYS = Object.keys(destinationSchema) as DestinationKey[];

/** The part of a variable's name that says which destination and which option it is about. */
export interface DestinationVariable {
  /** As in the variable: `NAS`; null: the destination `s3`. */
  readonly name: string | null;
  readonly key: DestinationKey;
}

/** What `BACKUPD_S3_<OPTION>` or `BACKUPD_DEST_<NAME>_<OPTION>` is about; null where it is no option of a destination. */
export function parseDestinationVariable(variable: string): DestinationVariable | null {
  const isOfS3 = variable.startsWith(S3_PREFIX);
  if (!isOfS3 && !variable.startsWith(DESTINATION_PREFIX)) {
    return null;
  }
  // With the line before an option.
  const rest = variable.slice((isOfS3 ? S3_PREFIX : DESTINATION_PREFIX).length - (isOfS3 ? 1 : 0));
  for (const key of DESTINATION_KEYS) {
    const ending = `_${toSnakeCase(key).toUpperCase()}`;
    if (isOfS3 ? rest === ending && key !== 'path' : rest.endsWith(ending) && rest !== ending) {
      return { name: isOfS3 ? null : rest.slice(0, -ending.length), key };
    }
  }
  return null;
}

/** The variable of an option of this destination: `BACKUPD_DEST_NAS_PATH`. */
export function toDestinationVariable(destination: string, key: DestinationKey): string {
  return `${variablesOf(destination)}${toSnakeCase(key).toUpperCase()}`;
}

/** How the value of an option is shown to people. */
export function showValue(key: DestinationKey, text: string): string {
  const option: DestinationOption<unknown> = destinationSchema[key];
  return option.show?.(text) ?? text;
}
