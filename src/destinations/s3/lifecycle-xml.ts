import { BackupdError } from '../../core/errors.ts';

/** A rule of a bucket's lifecycle as the store wrote it. */
export interface XmlRule {
  /** Null: it has none. */
  readonly id: string | null;
  /** To the byte. */
  readonly text: string;
  /** What it says, whatever the order and layout: two rules that say the same have the same. */
  readonly meaning: string;
  /** The first element that is not known to S3, as a path; null: there is none. */
  readonly unknown: string | null;
}

interface Element {
  readonly name: string;
  readonly children: readonly Element[];
  /** Decoded; of an element without children. */
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

const ROOT = 'LifecycleConfiguration';
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const TAG = { Key: {}, Value: {} };
const AND = { Prefix: {}, Tag: TAG, ObjectSizeGreaterThan: {}, ObjectSizeLessThan: {} };

interface Shape {
  readonly [name: string]: Shape;
}

/** All that a rule can have. */
const RULE: Shape = {
  ID: {},
  Status: {},
  Prefix: {},
  Filter: { ...AND, And: AND },
  Expiration: { Date: {}, Days: {}, ExpiredObjectDeleteMarker: {} },
  Transition: { Date: {}, Days: {}, StorageClass: {} },
  NoncurrentVersionExpiration: { NoncurrentDays: {}, NewerNoncurrentVersions: {} },
  NoncurrentVersionTransition: {
    NoncurrentDays: {},
    NewerNoncurrentVersions: {},
    StorageClass: {},
  },
  AbortIncompleteMultipartUpload: { DaysAfterInitiation: {} },
};

/**
 * The rules in a document of a store, in their order.
 * @throws BackupdError `config-invalid` where it is not understood to its end: what is not understood cannot be kept
 */
export function readRules(xml: string): readonly XmlRule[] {
  const root = readDocument(xml);
  if (root.name !== ROOT) {
    throw notUnderstood(`it begins with "${root.name}"`);
  }
  return root.children.map((element) => {
    if (element.name !== 'Rule') {
      throw notUnderstood(`there is "${element.name}" beside its rules`);
    }
    return {
      id: element.children.find(({ name }) => name === 'ID')?.text ?? null,
      text: xml.slice(element.from, element.to),
      meaning: meaningOf(element),
      unknown: findUnknown(element, RULE),
    };
  });
}

/** A document with these rules, as they are. */
export function writeRules(rules: readonly string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${ROOT} xmlns="${NAMESPACE}">${rules.join('')}</${ROOT}>`;
}

/**
 * Our rules beside those of others, which stay as they are, in their order.
 * @param isOurs of which rules there we decide
 * @returns null: it is so already
 */
export function mergeRules(
  there: readonly XmlRule[],
  ours: readonly XmlRule[],
  isOurs: (id: string) => boolean,
): readonly string[] | null {
  const [own, others] = [there.filter(isOwn), there.filter((rule) => !isOwn(rule))];
  if (own.length === ours.length && ours.every((rule) => sameIn(own, rule))) {
    return null;
  }
  return [...others, ...ours].map(({ text }) => text);

  function isOwn({ id }: XmlRule): boolean {
    return id !== null && isOurs(id);
  }
}

function sameIn(rules: readonly XmlRule[], { meaning }: XmlRule): boolean {
  return rules.some((rule) => rule.meaning === meaning);
}

/** A text as it stands in a document. */
export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** Empty elements say nothing. */
function meaningOf({ name, children, text }: Element): string {
  if (children.length === 0) {
    return text === '' ? '' : `${name}=${JSON.stringify(text)}`;
  }
  const inner = children
    .map((child) => meaningOf(child))
    .filter((meaning) => meaning !== '')
    .toSorted();
  return inner.length === 0 ? '' : `${name}{${inner.join(',')}}`;
}

function findUnknown({ name, children }: Element, shape: Shape): string | null {
  for (const child of children) {
    const known = Object.hasOwn(shape, child.name) ? shape[child.name] : undefined;
    const unknown = known === undefined ? child.name : findUnknown(child, known);
    if (unknown !== null) {
      return `${name}/${unknown}`;
    }
  }
  return null;
}

/** A mark: `<name ...>`, `</name>`, `<name/>`. */
const MARK = /<(\/?)([A-Za-z_][\w:.-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
const PROLOGUE = /^\uFEFF?\s*(?:<\?xml[^>]*\?>)?\s*/;

/** The part of XML that stores use: elements and texts. */
function readDocument(xml: string): Element {
  const [prologue = ''] = PROLOGUE.exec(xml) ?? [];
  const root = readElement(xml, prologue.length);
  if (xml.slice(root.to).trim() !== '') {
    throw notUnderstood('something follows its end');
  }
  return root;
}

function readElement(xml: string, from: number): Element {
  const { name, isEnd, isEmpty, attributes, to } = readMark(xml, from);
  if (isEnd || (attributes !== '' && name !== ROOT)) {
    throw notUnderstood(`of ${xml.slice(from, to)}`);
  }
  if (isEmpty) {
    return { name, children: [], text: '', from, to };
  }
  const children: Element[] = [];
  let text = '';
  for (let at = to; ;) {
    const next = xml.indexOf('<', at);
    if (next === -1) {
      throw notUnderstood(`"${name}" has no end`);
    }
    text += xml.slice(at, next);
    if (xml[next + 1] === '/') {
      const end = readMark(xml, next);
      if (end.name !== name || (children.length > 0 && text.trim() !== '')) {
        throw notUnderstood(`"${name}" does not end as it began`);
      }
      return { name, children, text: children.length > 0 ? '' : decode(text), from, to: end.to };
    }
    const child = readElement(xml, next);
    children.push(child);
    at = child.to;
  }
}

interface Mark {
  readonly name: string;
  readonly isEnd: boolean;
  readonly isEmpty: boolean;
  readonly attributes: string;
  readonly to: number;
}

function readMark(xml: string, from: number): Mark {
  MARK.lastIndex = from;
  const [mark = '', slash = '', name = '', attributes = '', end = ''] = MARK.exec(xml) ?? [];
  if (mark === '') {
    throw notUnderstood(`of ${JSON.stringify(xml.slice(from, from + 40))}`);
  }
  return {
    name,
    isEnd: slash !== '',
    isEmpty: end !== '',
    attributes: attributes.trim(),
    to: from + mark.length,
  };
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

function decode(text: string): string {
  return text.replaceAll(/&([^;&]*);?/g, (whole, entity: string) => {
    const [, hex, decimal] = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(entity) ?? [];
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    const character = code <= 0x10_ff_ff ? String.fromCodePoint(code) : ENTITIES.get(entity);
    if (character === undefined || !whole.endsWith(';')) {
      throw notUnderstood(`of ${whole}`);
    }
    return character;
  });
}

function notUnderstood(why: string): BackupdError {
  return new BackupdError(
    'config-invalid',
    `the rules that the bucket has are not understood: ${why}`,
  );
}
