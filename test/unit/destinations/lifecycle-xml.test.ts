import {
  array,
  assert,
  constant,
  constantFrom,
  integer,
  oneof,
  property,
  string,
  stringMatching,
  tuple,
  uniqueArray,
  type Arbitrary,
} from 'fast-check';
import { expect, test } from 'vitest';
import {
  escapeXml,
  mergeRules,
  readRules,
  writeRules,
} from '../../../src/destinations/s3/lifecycle-xml.ts';

const OURS = 'backupd-shop-0a1b2c3d-';

function isOurs(id: string): boolean {
  return id.startsWith(OURS);
}

function others(texts: readonly string[]): readonly string[] {
  const rules = readRules(writeRules(texts));
  return rules.filter(({ id }) => !isOurs(id ?? '')).map((rule) => rule.text);
}

/** What may stand between elements. */
const gap = stringMatching(/^[ \n\t]{0,3}$/);
const text = string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter(
  (one) => !/\p{Cc}/u.test(one),
);

function element(name: string, ...inner: readonly Arbitrary<string>[]): Arbitrary<string> {
  return tuple(gap, ...inner.map((one) => tuple(gap, one).map((pair) => pair.join(''))), gap).map(
    (pieces) => `<${name}>${pieces.join('')}</${name}>`,
  );
}

function leaf(name: string, value: Arbitrary<string>): Arbitrary<string> {
  return oneof(
    { weight: 9, arbitrary: value.map((one) => `<${name}>${escapeXml(one)}</${name}>`) },
    constantFrom(`<${name}/>`, `<${name}></${name}>`, `<${name}>&#65;&apos;</${name}>`),
  );
}

const days = integer({ min: 1, max: 9999 }).map(String);
const tag = element('Tag', leaf('Key', text), leaf('Value', text));
const filter = oneof(
  constant('<Filter/>'),
  element('Filter', leaf('Prefix', text)),
  element('Filter', tag),
  element('Filter', element('And', leaf('Prefix', text), tag, tag)),
);
const action = oneof(
  element('Expiration', leaf('Days', days)),
  element('Transition', leaf('Days', days), leaf('StorageClass', constant('GLACIER'))),
  element('AbortIncompleteMultipartUpload', leaf('DaysAfterInitiation', days)),
);

function rule(id: Arbitrary<string>): Arbitrary<string> {
  const named = id.map((one) => (one === '' ? '' : `<ID>${escapeXml(one)}</ID>`));
  return element('Rule', named, filter, leaf('Status', constant('Enabled')), action);
}

const foreign = rule(
  oneof(
    text.filter((id) => !isOurs(id)),
    constant(''),
    constant('backupd-other-0a1b2c3d-expire'),
  ),
);
const own = rule(constantFrom('archive', 'expire', 'older').map((end) => `${OURS}${end}`));
const wanted = uniqueArray(rule(constantFrom('archive', 'expire').map((end) => `${OURS}${end}`)), {
  maxLength: 2,
  selector: (one) => readRules(writeRules([one]))[0]?.id,
});

test('rules of others survive any merge, to the byte and in their order', () => {
  assert(
    property(array(oneof(foreign, own), { maxLength: 8 }), gap, wanted, (there, space, ours) => {
      const read = readRules(writeRules([space, ...there.flatMap((one) => [one, space])]));
      expect(read.map((one) => one.text)).toEqual(there);
      const oursRead = readRules(writeRules(ours));
      const merged = mergeRules(read, oursRead, isOurs) ?? there;
      expect(others(merged)).toEqual(others(there));
      // Ours are there once, what they say is what is wanted, and to merge again changes nothing.
      const after = readRules(writeRules(merged));
      const oursAfter = after.filter(({ id }) => isOurs(id ?? ''));
      expect(oursAfter.map((one) => one.meaning).toSorted()).toEqual(
        oursRead.map((one) => one.meaning).toSorted(),
      );
      expect(mergeRules(after, oursRead, isOurs)).toBeNull();
      // Who takes ours away again has what was there without them.
      expect(mergeRules(after, [], isOurs) ?? merged).toEqual(others(there));
    }),
  );
});

test('two rules that are laid out otherwise say the same, other ones do not', () => {
  const [one, other, third] = readRules(
    writeRules([
      '<Rule><ID>a</ID><Filter><And><Tag><Key>k</Key><Value>v</Value></Tag><Prefix>p&amp;q</Prefix></And></Filter><Prefix/></Rule>',
      '<Rule>\n <Filter><And><Prefix>p&#38;q</Prefix>\n<Tag><Value>v</Value><Key>k</Key></Tag></And></Filter><ID>a</ID></Rule>',
      '<Rule><ID>a</ID><Filter><And><Tag><Key>v</Key><Value>k</Value></Tag><Prefix>p&amp;q</Prefix></And></Filter></Rule>',
    ]),
  );
  expect(one?.meaning).toBe(other?.meaning);
  expect(third?.meaning).not.toBe(one?.meaning);
});

test.each([
  [
    '<Rule><ID>a</ID><DelMarkerExpiration><Days>1</Days></DelMarkerExpiration></Rule>',
    'Rule/DelMarkerExpiration',
  ],
  [
    '<Rule><Expiration><Days>1</Days><ExpiredObjectAllVersions>true</ExpiredObjectAllVersions></Expiration></Rule>',
    'Rule/Expiration/ExpiredObjectAllVersions',
  ],
  ['<Rule><Filter><And><Days>1</Days></And></Filter></Rule>', 'Rule/Filter/And/Days'],
  ['<Rule><Filter><Prefix>a</Prefix></Filter><Status>Enabled</Status></Rule>', null],
])('an element that S3 does not have is found: %s', (xml, unknown) => {
  expect(readRules(writeRules([xml]))[0]?.unknown).toBe(unknown);
});

test.each([
  '',
  'Not found',
  '<Error><Code>x</Code></Error>',
  '<LifecycleConfiguration><Rule></LifecycleConfiguration>',
  '<LifecycleConfiguration><Rule><ID>a</ID>',
  '<LifecycleConfiguration><Rule><!-- hm --></Rule></LifecycleConfiguration>',
  '<LifecycleConfiguration><Rule kind="a"/></LifecycleConfiguration>',
  '<LifecycleConfiguration><Rule>loose<ID>a</ID></Rule></LifecycleConfiguration>',
  '<LifecycleConfiguration><Rule><ID>&unknown;</ID></Rule></LifecycleConfiguration>',
  '<LifecycleConfiguration><Other/></LifecycleConfiguration>',
  '<LifecycleConfiguration/><Rule/>',
])('what is not understood is no rule: %s', (xml) => {
  expect(() => readRules(xml)).toThrow(expect.objectContaining({ code: 'config-invalid' }));
});
