import { getSystemErrorMap } from 'node:util';
import { describeClocks } from '../../core/clocks.ts';
import { formatDuration } from '../../core/duration.ts';
import { BackupdError } from '../../core/errors.ts';
import type { StoreClock } from './http.ts';

/** What was asked of the store, to be named where it fails. */
export interface Asked {
  /** As a policy calls it: `s3:PutObject`. */
  readonly action: string;
  /** The whole key; null: it is about the bucket. */
  readonly key: string | null;
}

/** Whom it was asked. */
export interface AskedStore {
  readonly name: string;
  readonly place: string;
  readonly bucket: string;
  readonly host: string;
  /** How the variables of this destination begin: `BACKUPD_S3_`. */
  readonly variables: string;
  readonly clock: StoreClock;
}

/** What an error of the SDK has, as far as it goes. */
interface StoreError extends Error {
  readonly code?: string;
  readonly Region?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

const WRONG_KEYS = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidToken',
  'TokenRefreshRequired',
  'UnrecognizedClientException',
  'NotSignedUp',
  'CredentialsProviderError',
]);
const SKEWED = new Set(['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture']);
const ELSEWHERE = new Set([
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'TemporaryRedirect',
]);
const SHOWN_CHARACTERS = 200;

/** What the store answered instead: the word in its body, such as `NoSuchUpload`; of an error of ours that of its cause. */
export function storeCode(thrown: unknown): string {
  return storeErrorOf(thrown)?.name ?? '';
}

/** The HTTP status of its answer; 0 where there was none. */
export function storeStatus(thrown: unknown): number {
  return storeErrorOf(thrown)?.$metadata?.httpStatusCode ?? 0;
}

/** Whether the store does not tell what it was asked: it may not be asked, or it does not know the question. */
export function isNoAnswer(thrown: unknown): boolean {
  const status = storeStatus(thrown);
  return (
    storeCode(thrown) === 'AccessDenied' ||
    status === 405 ||
    status === 501 ||
    // What is known to be wrong, a key or a region, has another code.
    (status === 400 && thrown instanceof BackupdError && thrown.code === 'destination-unavailable')
  );
}

/** Whether the store does not know the question, or not with this. */
export function isUnsupported(thrown: unknown): boolean {
  return isNoAnswer(thrown) && storeCode(thrown) !== 'AccessDenied';
}

/** What the store answered, for people. */
export function storeAnswer(thrown: unknown): string {
  const error = storeErrorOf(thrown);
  return error === null ? String(thrown) : said(error);
}

function storeErrorOf(thrown: unknown): StoreError | null {
  const error: unknown = thrown instanceof BackupdError ? thrown.cause : thrown;
  return error instanceof Error ? error : null;
}

/** The error to throw for one that the SDK threw. */
export function storeFailure(thrown: unknown, asked: Asked, store: AskedStore): BackupdError {
  if (thrown instanceof BackupdError) {
    return thrown;
  }
  const error: StoreError = thrown instanceof Error ? thrown : new Error(String(thrown));
  const told = `destination "${store.name}"`;
  const options = { cause: error };
  for (const explain of [explainClock, explainPlace, explainObject, explainDenial]) {
    const found = explain(error, asked, store);
    if (found !== null) {
      return new BackupdError(found.code, `${told}: ${found.message}`, {
        hint: found.hint,
        ...options,
      });
    }
  }
  const { message, hint } = describeUnavailable(error, asked, store);
  return new BackupdError('destination-unavailable', `${told}: ${message}`, { hint, ...options });
}

interface Explained {
  readonly code: BackupdError['code'];
  readonly message: string;
  readonly hint: string;
}

function explainClock(error: StoreError, _asked: Asked, { clock }: AskedStore): Explained | null {
  return SKEWED.has(error.name) ? clockFailure(clock.aheadMs() ?? 0) : null;
}

/** That the clocks are too far apart, with both times. */
export function clockFailure(aheadMs: number): Explained {
  return {
    code: 'destination-unavailable',
    message: describeClocks(aheadMs, Date.now()),
    hint: 'Set the clock of this host, best by NTP. A store refuses requests that are dated wrongly.',
  };
}

function explainPlace(
  error: StoreError,
  asked: Asked,
  { bucket, place, variables }: AskedStore,
): Explained | null {
  if (error.name === 'NoSuchBucket') {
    return {
      code: 'destination-unavailable',
      message: `there is no bucket "${bucket}" (${place})`,
      hint: `Make the bucket, or correct ${variables}BUCKET. backupd makes none by itself.`,
    };
  }
  const region = rightRegion(error);
  if (ELSEWHERE.has(error.name) && (region !== null || error.name !== 'TemporaryRedirect')) {
    return {
      code: 'config-invalid',
      message:
        region === null
          ? `the bucket "${bucket}" is in another region (${said(error)})`
          : `the bucket "${bucket}" is in the region ${region}`,
      hint: `Set ${variables}REGION${region === null ? " to the bucket's region" : `=${region}`}.`,
    };
  }
  if (error.message.startsWith('Region is missing')) {
    return {
      code: 'config-invalid',
      message: `no region is known for the bucket "${bucket}"`,
      hint: `Set ${variables}REGION.`,
    };
  }
  return error.name === 'InvalidStorageClass'
    ? {
        code: 'config-invalid',
        message: `the store does not have the storage class that ${asked.key ?? bucket} was to get`,
        hint: `Set ${variables}STORAGE_CLASS to one that it has, or remove it.`,
      }
    : null;
}

function rightRegion(error: StoreError): string | null {
  const [, expected] = /expecting '([a-z0-9-]+)'/.exec(error.message) ?? [];
  return error.Region ?? error.$response?.headers?.['x-amz-bucket-region'] ?? expected ?? null;
}

function explainDenial(
  error: StoreError,
  asked: Asked,
  { variables, bucket }: AskedStore,
): Explained | null {
  const status = error.$metadata?.httpStatusCode;
  if (WRONG_KEYS.has(error.name)) {
    return {
      code: 'destination-denied',
      message: `the keys were not accepted (${said(error)})`,
      hint: `Check ${variables}ACCESS_KEY_ID and ${variables}SECRET_ACCESS_KEY, or what the AWS chain finds: variables, files, roles.`,
    };
  }
  if (status !== 403 && status !== 401 && error.name !== 'AccessDenied') {
    return null;
  }
  const [, named] = /not authorized to perform: ([a-z0-9]+:[A-Za-z]+)/.exec(error.message) ?? [];
  const action = named ?? asked.action;
  return {
    code: 'destination-denied',
    message: `${action} on ${asked.key ?? `the bucket "${bucket}"`} was denied (${said(error)})`,
    hint: `Allow ${action} to the key that backupd has. docs/destinations.md has a policy with all that it needs.`,
  };
}

function explainObject(
  error: StoreError,
  asked: Asked,
  { variables, bucket }: AskedStore,
): Explained | null {
  if (error.name === 'InvalidObjectState') {
    return {
      code: 'retrieval-pending',
      message: `${asked.key ?? 'the object'} is archived and cannot be read now`,
      hint: 'Ask it back from its archive first; that takes minutes to hours.',
    };
  }
  if (/object ?lock/i.test(error.message) && error.name === 'InvalidRequest') {
    return {
      code: 'config-invalid',
      message: `the bucket "${bucket}" does not lock objects (${said(error)})`,
      hint: `Use a bucket that was made with object lock, or remove ${variables}OBJECT_LOCK.`,
    };
  }
  return null;
}

function describeUnavailable(
  error: StoreError,
  { action, key }: Asked,
  store: AskedStore,
): { readonly message: string; readonly hint: string } {
  const status = error.$metadata?.httpStatusCode;
  const code = error.code ?? '';
  if (/CERT|SIGNATURE|SELF_SIGNED/.test(code)) {
    return {
      message: `the certificate of ${store.host} is not trusted (${code})`,
      hint: `Give the certificate of its authority with ${store.variables}CA_FILE, or correct the address.`,
    };
  }
  if (status === undefined) {
    return {
      message: `${store.host} cannot be reached: ${reason(error)}`,
      hint: 'Check the address, the network between here and there, and whether the store is up.',
    };
  }
  const what = `${action} on ${key ?? `the bucket "${store.bucket}"`} failed with ${status}`;
  return {
    message: `${what} (${said(error)})`,
    hint:
      status >= 500 || status === 429
        ? 'The store has trouble or is overloaded. It is tried again later.'
        : 'The store refused it. If it is no store of S3, check the address.',
  };
}

/** An error of many attempts has no message of its own. */
function reason(error: StoreError): string {
  const known = [...getSystemErrorMap().values()].find(([name]) => name === error.code);
  if (known !== undefined) {
    return `${known[1]} (${known[0]})`;
  }
  // The SDK's own words speak of its parts and settings.
  const [, ms] = /(\d+) ?ms\b/.exec(error.message) ?? [];
  return error.name === 'TimeoutError' && ms !== undefined
    ? `no answer within ${formatDuration(Number(ms))}`
    : said(error);
}

/** The word and the words of the store, as they may be shown. */
function said({ name, message }: StoreError): string {
  const text = message.replaceAll(/[^\x20-\x7E]+/g, ' ').trim();
  const isNamed = name !== 'Error' && text !== name;
  const words = text === '' ? name : isNamed ? `${name}: ${text}` : text;
  return words.length > SHOWN_CHARACTERS ? `${words.slice(0, SHOWN_CHARACTERS)}...` : words;
}
