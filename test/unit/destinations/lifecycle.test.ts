import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { StoreLifecycle } from '../../../src/core/lifecycle.ts';
import { secret } from '../../../src/core/secret.ts';
import { bucketDestination } from '../../../src/destinations/s3/s3.ts';
import { bucketSettings } from '../../support/s3-server.ts';

const NEVER = new AbortController().signal;
const BOTH = { moves: [{ storageClass: 'GLACIER', days: 30 }], expireDays: 90 };
const SIZE = 'x-amz-transition-default-minimum-object-size';
/** Laid out as nobody but its owner would. */
const FOREIGN =
  '<Rule>\n\t<Status>Disabled</Status><ID>logs &amp; more</ID>\n<Filter><Prefix>logs/</Prefix></Filter> <Expiration><Days>7</Days></Expiration></Rule>';

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What a store has, and how it fails. */
const store = {
  xml: null as string | null,
  versioned: false,
  written: [] as { readonly body: string; readonly headers: IncomingMessage['headers'] }[],
  refusal: null as Answer | null,
  hasNone: null as Answer | null,
  /** What it makes of what it is given. */
  keep: (xml: string): string => xml,
};

beforeEach(() => {
  Object.assign(store, {
    xml: null,
    versioned: false,
    written: [],
    refusal: null,
    hasNone: null,
  });
  store.keep = (xml) => xml;
});

function failure(status: number, code: string, message: string): Answer {
  return { status, body: `<Error><Code>${code}</Code><Message>${message}</Message></Error>` };
}

async function answer(request: IncomingMessage): Promise<Answer> {
  const { method = '', url = '', headers } = request;
  if (url.includes('?versioning')) {
    const status = store.versioned ? '<Status>Enabled</Status>' : '';
    return { status: 200, body: `<VersioningConfiguration>${status}</VersioningConfiguration>` };
  }
  if (store.hasNone !== null) {
    return store.hasNone;
  }
  if (method === 'PUT') {
    store.written.push({ body: await text(request), headers });
    if (store.refusal !== null) {
      return store.refusal;
    }
    store.xml = store.keep(store.written.at(-1)?.body ?? '');
    return { status: 200, body: '' };
  }
  if (method === 'DELETE') {
    store.xml = null;
    return { status: 204, body: '' };
  }
  return store.xml === null
    ? failure(404, 'NoSuchLifecycleConfiguration', 'There is none')
    : { status: 200, body: store.xml };
}

const server = createServer((request, response) => {
  async function serve(): Promise<void> {
    const { status, body } = await answer(request);
    const headers = { 'content-type': 'application/xml', [SIZE]: 'varies_by_storage_class' };
    response.writeHead(status, headers).end(body);
  }
  void serve();
});

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function lifecycle(endpoint?: string): StoreLifecycle {
  const settings = bucketSettings({
    bucket: 'shop',
    endpoint: endpoint ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: { accessKeyId: 'id', secretAccessKey: secret('secret') },
  });
  const { lifecycle } = bucketDestination(settings, settings.place);
  if (lifecycle === null) {
    throw new Error('a bucket has a lifecycle');
  }
  return lifecycle;
}

function document(...rules: readonly string[]): string {
  return `<?xml version="1.0"?>\n<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${rules.join('\n')}\n</LifecycleConfiguration>\n`;
}

test('our rules are written beside those of others, which stay to the byte', async () => {
  store.xml = document(FOREIGN);
  await lifecycle().applyRules('demo', BOTH, NEVER);
  const { body, headers } = store.written[0] ?? { body: '', headers: {} };
  expect(body).toContain(FOREIGN);
  expect(body).toMatch(
    /<Rule><ID>backupd-demo-[0-9a-f]{8}-archive<\/ID><Filter><And><Prefix>backups\/demo\/<\/Prefix><Tag><Key>backupd<\/Key><Value>archive<\/Value><\/Tag><\/And><\/Filter><Status>Enabled<\/Status><Transition><Days>30<\/Days><StorageClass>GLACIER<\/StorageClass><\/Transition><\/Rule>/,
  );
  expect(body).toMatch(
    /<Value>expire<\/Value><\/Tag><\/And><\/Filter><Status>Enabled<\/Status><Expiration><Days>90<\/Days><\/Expiration><\/Rule>/,
  );
  // What is sent is what was summed up, and a setting that goes along with the rules is not lost.
  expect(headers['content-md5']).toBe(createHash('md5').update(body).digest('base64'));
  expect(headers['content-length']).toBe(`${Buffer.byteLength(body)}`);
  expect(headers[SIZE]).toBe('varies_by_storage_class');
  expect(await lifecycle().compareRules('demo', BOTH, NEVER)).toEqual([]);
  // Once more changes nothing.
  await lifecycle().applyRules('demo', BOTH, NEVER);
  expect(store.written).toHaveLength(1);
  // Another namespace has its own, and to take ours away leaves all others.
  await lifecycle().applyRules('other', { ...BOTH, moves: [] }, NEVER);
  await lifecycle().applyRules('demo', null, NEVER);
  expect(store.xml).toContain(FOREIGN);
  expect(store.xml).toContain('backupd-other-');
  expect(store.xml).not.toContain('backupd-demo-');
});

test('the last rules that go leave none, and where none is wanted none is written', async () => {
  await lifecycle().applyRules('demo', null, NEVER);
  await lifecycle().applyRules('demo', BOTH, NEVER);
  await lifecycle().applyRules('demo', null, NEVER);
  expect(store.written).toHaveLength(1);
  expect(store.xml).toBeNull();
});

test('in a bucket that keeps versions, what was deleted goes for good', async () => {
  store.versioned = true;
  await lifecycle().applyRules('demo', { moves: [], expireDays: 7 }, NEVER);
  expect(store.xml).toContain(
    '<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>',
  );
});

test('that somebody changed or removed a rule of ours is seen, and made good', async () => {
  await lifecycle().applyRules('demo', BOTH, NEVER);
  store.xml = (store.xml ?? '').replace('<Days>90</Days>', '<Days>9</Days>');
  const [changed, ...more] = await lifecycle().compareRules('demo', BOTH, NEVER);
  expect(changed).toMatch(
    /^the rule "backupd-demo-\w+-expire" was changed: it is <Rule>.*<Days>9</,
  );
  expect(more).toEqual([]);
  expect(await lifecycle().compareRules('demo', { ...BOTH, moves: [] }, NEVER)).toEqual([
    expect.stringContaining('was changed'),
    expect.stringMatching(/^the rule "backupd-demo-\w+-archive" is there and not wanted$/),
  ]);
  await lifecycle().applyRules('demo', BOTH, NEVER);
  expect(await lifecycle().compareRules('demo', BOTH, NEVER)).toEqual([]);
  store.xml = null;
  expect(await lifecycle().compareRules('demo', BOTH, NEVER)).toHaveLength(2);
});

test.each([
  [
    'with an element that S3 does not have',
    '<Rule><ID>theirs</ID><DelMarkerExpiration><Days>1</Days></DelMarkerExpiration></Rule>',
    'Rule/DelMarkerExpiration',
  ],
  ['that is not understood', '<Rule><!-- theirs --></Rule>', 'not understood'],
])('a rule of others %s: nothing is written', async (_, rule, told) => {
  store.xml = document(rule);
  await expect(lifecycle().applyRules('demo', BOTH, NEVER)).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining(told) as unknown,
  });
  expect(store.written).toEqual([]);
});

test.each([
  [
    failure(400, 'InvalidStorageClass', 'The storage class is not valid'),
    'config-invalid',
    'InvalidStorageClass: The storage class is not valid',
  ],
  [
    failure(501, 'NotImplemented', 'A header you provided'),
    'config-invalid',
    'NotImplemented: A header you provided',
  ],
  [failure(400, 'MalformedXML', 'Not well-formed'), 'config-invalid', 'MalformedXML'],
  [failure(403, 'AccessDenied', 'No'), 'destination-denied', 's3:PutLifecycleConfiguration'],
] as const)('a store that answers %j', async (refusal, code, told) => {
  store.refusal = refusal;
  await expect(lifecycle().applyRules('demo', BOTH, NEVER)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(told) as unknown,
    ...(code === 'config-invalid'
      ? {
          hint: expect.stringMatching(
            /"Prefix":"backups\/demo\/","Tags":\[\{"Key":"backupd","Value":"archive"\}\].*BACKUPD_S3_LIFECYCLE/,
          ) as unknown,
        }
      : {}),
  });
});

test('a store that has no lifecycle says so when it is asked for it', async () => {
  store.hasNone = failure(501, 'NotImplemented', 'No such thing');
  const refused = {
    code: 'config-invalid',
    message: expect.stringContaining('NotImplemented: No such thing') as unknown,
  };
  await expect(lifecycle().applyRules('demo', BOTH, NEVER)).rejects.toMatchObject(refused);
  await expect(lifecycle().compareRules('demo', BOTH, NEVER)).rejects.toMatchObject(refused);
});

test('a store that takes a rule and forgets its condition keeps none of ours', async () => {
  store.xml = document(FOREIGN);
  store.keep = (xml) => xml.replaceAll(/<Tag>.*?<\/Tag>/g, '');
  await expect(lifecycle().applyRules('demo', BOTH, NEVER)).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('keeps them otherwise') as unknown,
  });
  expect(store.xml).toContain(FOREIGN);
  expect(store.xml).not.toContain('backupd-demo-');
});

test('a store that changes the rules of others is told of', async () => {
  store.xml = document(FOREIGN);
  store.keep = (xml) => xml.replace('<Days>7</Days>', '<Days>8</Days>');
  await expect(lifecycle().applyRules('demo', BOTH, NEVER)).rejects.toMatchObject({
    code: 'destination-unavailable',
    message: expect.stringContaining('<Days>7</Days>') as unknown,
  });
});
