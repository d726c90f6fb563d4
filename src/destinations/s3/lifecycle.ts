import { createHash } from 'node:crypto';
import { variablesOf, type Lifecycle } from '../../core/destination-settings.ts';
import { BackupdError } from '../../core/errors.ts';
import { TAG_KEY, type LifecycleTag } from '../../core/lifecycle.ts';
import type { Bucket } from './bucket.ts';
import { isUnsupported, storeAnswer, storeCode } from './failures.ts';
import { nativeRules } from './lifecycle-native.ts';
import { deleteRules, getRules, putRules, type StoredRules } from './lifecycle-requests.ts';
import { escapeXml, mergeRules, readRules, writeRules, type XmlRule } from './lifecycle-xml.ts';
import { versioning } from './versioning.ts';

/** The rules of one namespace, as they are to be and as they are. */
interface Rules {
  readonly bucket: Bucket;
  readonly namespace: string;
  readonly wanted: Lifecycle | null;
  readonly ours: readonly XmlRule[];
  /** How the ids of ours begin: of this namespace under this prefix alone. */
  readonly stem: string;
}

/** How our rules there differ from what is wanted, a sentence each. */
export async function compareRules(
  bucket: Bucket,
  namespace: string,
  wanted: Lifecycle | null,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const rules = await rulesOf(bucket, namespace, wanted, signal);
  const { xml } = await read(rules, signal);
  return differences(rules, rulesIn(bucket, xml));
}

function rulesIn(bucket: Bucket, xml: string | null): readonly XmlRule[] {
  try {
    return xml === null ? [] : readRules(xml);
  } catch (error) {
    if (!(error instanceof BackupdError)) {
      throw error;
    }
    const { code, message } = error;
    const { name } = bucket.settings;
    throw new BackupdError(code, `destination "${name}": ${message}`, {
      hint: `Nothing was changed: what is not understood could not be kept. Correct the rules of the bucket, or remove ${variablesOf(name)}LIFECYCLE.`,
      cause: error,
    });
  }
}

function differences({ ours, stem }: Rules, there: readonly XmlRule[]): readonly string[] {
  const own = there.filter(({ id }) => id?.startsWith(stem) === true);
  const missing = ours.flatMap(({ id, meaning }) => {
    const found = own.filter((rule) => rule.id === id);
    return found.length === 0
      ? [`the rule "${id}" is missing`]
      : found.some((rule) => rule.meaning === meaning)
        ? []
        : [`the rule "${id}" was changed: it is ${found[0]?.text}`];
  });
  const wantedIds = new Set(ours.map(({ id }) => id));
  const unwanted = own.filter(({ id }) => !wantedIds.has(id));
  return [...missing, ...unwanted.map(({ id }) => `the rule "${id}" is there and not wanted`)];
}

/** Reads, merges, writes and reads again. */
export async function applyRules(
  bucket: Bucket,
  namespace: string,
  wanted: Lifecycle | null,
  signal: AbortSignal,
): Promise<void> {
  const rules = await rulesOf(bucket, namespace, wanted, signal);
  const before = await read(rules, signal);
  const there = rulesIn(bucket, before.xml);
  const merged = mergeRules(there, rules.ours, (id) => id.startsWith(rules.stem));
  if (merged === null) {
    return;
  }
  const others = there.filter(({ id }) => id?.startsWith(rules.stem) !== true);
  checkKnown(rules, others);
  await write(rules, { ...before, texts: merged }, signal);
  const { xml } = await read(rules, signal);
  const after = rulesIn(bucket, xml);
  checkKept(rules, others, after);
  const [wrong] = differences(rules, after);
  if (wrong !== undefined) {
    // A store that takes half of a condition would delete what is to stay.
    await write(rules, { ...before, texts: others.map(({ text }) => text) }, signal);
    throw refused(rules, `took the rules and keeps them otherwise (${wrong})`, null);
  }
}

interface Written {
  readonly texts: readonly string[];
  readonly smallest: string | null;
}

async function write(
  rules: Rules,
  { texts, smallest }: Written,
  signal: AbortSignal,
): Promise<void> {
  const { bucket } = rules;
  if (texts.length === 0) {
    await deleteRules(bucket, signal);
    return;
  }
  try {
    await putRules(bucket, { xml: writeRules(texts), smallest }, signal);
  } catch (error) {
    throw storeCode(error) === 'InvalidStorageClass' || isUnsupported(error)
      ? refused(rules, `does not take the rules (${storeAnswer(error)})`, error)
      : error;
  }
}

async function read(rules: Rules, signal: AbortSignal): Promise<StoredRules> {
  try {
    return await getRules(rules.bucket, signal);
  } catch (error) {
    throw isUnsupported(error)
      ? refused(rules, `has no lifecycle (${storeAnswer(error)})`, error)
      : error;
  }
}

/** A rule of which something would be lost, or changed, by a store that reads it again is not touched. */
function checkKnown(rules: Rules, others: readonly XmlRule[]): void {
  const odd = others.find(({ unknown }) => unknown !== null);
  if (odd !== undefined) {
    throw refused(
      rules,
      `has a rule "${odd.id ?? ''}" of somebody else with an element that S3 does not have (${odd.unknown}), which might be lost`,
      null,
    );
  }
}

/** @throws BackupdError `destination-unavailable` where a rule of somebody else is not what it was */
function checkKept({ bucket }: Rules, others: readonly XmlRule[], after: readonly XmlRule[]): void {
  const lost = others.find(({ meaning }) => !after.some((rule) => rule.meaning === meaning));
  if (lost !== undefined) {
    throw new BackupdError(
      'destination-unavailable',
      `destination "${bucket.settings.name}": a rule of the bucket that is not ours is another after our rules were written; it was ${lost.text}`,
      {
        hint: 'Somebody changed it in the same moment, or the store did: look at the lifecycle of the bucket.',
      },
    );
  }
}

function refused({ bucket, namespace, wanted }: Rules, what: string, cause: unknown): BackupdError {
  const { name } = bucket.settings;
  return new BackupdError('config-invalid', `destination "${name}": the store ${what}`, {
    hint: `${nativeRules(bucket, namespace, wanted)} Or remove ${variablesOf(name)}LIFECYCLE: without it retention deletes by itself.`,
    cause,
  });
}

async function rulesOf(
  bucket: Bucket,
  namespace: string,
  wanted: Lifecycle | null,
  signal: AbortSignal,
): Promise<Rules> {
  const prefix = bucket.fullPrefix(`${namespace}/`);
  const sum = createHash('sha256').update(prefix).digest('hex').slice(0, 8);
  const stem = `backupd-${namespace}-${sum}-`;
  const texts: string[] = [];
  if (wanted !== null && wanted.moves.length > 0) {
    const moves = wanted.moves.map(
      ({ storageClass, days }) =>
        `<Transition><Days>${days}</Days><StorageClass>${escapeXml(storageClass)}</StorageClass></Transition>`,
    );
    texts.push(ruleText(`${stem}archive`, { prefix, tag: 'archive' }, moves.join('')));
  }
  if (wanted !== null && wanted.expireDays !== null) {
    // What is deleted leaves a version behind, which is deleted as well.
    const keepsVersions = (await versioning(bucket, signal)) === true;
    const rest = keepsVersions
      ? '<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>'
      : '';
    const expires = `<Expiration><Days>${wanted.expireDays}</Days></Expiration>${rest}`;
    texts.push(ruleText(`${stem}expire`, { prefix, tag: 'expire' }, expires));
  }
  return { bucket, namespace, wanted, stem, ours: readRules(writeRules(texts)) };
}

/** A rule for objects below a prefix that have a tag of ours. */
function ruleText(
  id: string,
  { prefix, tag }: { readonly prefix: string; readonly tag: LifecycleTag },
  actions: string,
): string {
  const filter = `<And><Prefix>${escapeXml(prefix)}</Prefix><Tag><Key>${TAG_KEY}</Key><Value>${tag}</Value></Tag></And>`;
  return `<Rule><ID>${escapeXml(id)}</ID><Filter>${filter}</Filter><Status>Enabled</Status>${actions}</Rule>`;
}
