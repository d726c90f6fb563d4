import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCatalog } from '../../../src/store/catalog.ts';
import { openStore, type OffSiteStage, type Store } from '../../support/off-site-stage.ts';
import { having } from '../../support/matchers.ts';
import { backupId, commitBackup } from '../../support/storage.ts';

let store: Store;

beforeAll(async () => {
  store = await openStore();
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
});

interface Sending {
  readonly id: string | null;
  readonly destination: string;
  readonly ok: boolean;
  readonly error: { readonly code: string; readonly hint: string } | null;
}

/** What an upload did, whatever its exit code. */
async function upload(
  { box }: Pick<OffSiteStage, 'box'>,
  ...args: readonly string[]
): Promise<{ readonly exitCode: number | null; readonly sendings: readonly Sending[] }> {
  const { exitCode, stdout, stderr } = await box.backupd(['upload', ...args, '--json']);
  expect(stdout, stderr).not.toBe('');
  return { exitCode, sendings: JSON.parse(stdout) as readonly Sending[] };
}

const NAS = { BACKUPD_DESTINATIONS: 'nas', BACKUPD_DEST_NAS_PATH: '/mnt/nas' };

test('a bucket and a directory: one that is down delays not the other, and catches up', async () => {
  await using stage = await store.stage({ env: NAS });
  await stage.add(1);
  await stage.add(2);
  store.proxy.disturb(
    { operation: 'PutObject' },
    { status: 403, code: 'AccessDenied' },
    Number.POSITIVE_INFINITY,
  );
  const first = await upload(stage);
  expect(first.exitCode).toBe(31);
  expect(first.sendings.filter(({ ok }) => ok).map(({ destination }) => destination)).toEqual([
    'nas',
    'nas',
  ]);
  expect(first.sendings.find(({ destination }) => destination === 's3')).toMatchObject({
    ok: false,
    error: { code: 'destination-denied' },
  });
  const status = await stage.box.backupd(['status', '--json']);
  expect(JSON.parse(status.stdout)).toMatchObject({
    healthy: false,
    destinations: [
      { destination: 's3', state: 'failed', failure: { code: 'destination-denied' } },
      { destination: 'nas', state: 'ok', place: '/mnt/nas' },
    ],
  });
  store.proxy.calm();
  const second = await upload(stage);
  expect(second).toMatchObject({ exitCode: 0 });
  expect(second.sendings.map(({ destination, id }) => [destination, id])).toEqual([
    ['s3', backupId(1)],
    ['s3', backupId(2)],
  ]);
  const [entry] = await stage.box.json<readonly { copies: readonly { destination: string }[] }[]>([
    'list',
  ]);
  expect(entry?.copies.map(({ destination }) => destination)).toEqual(['nas', 's3']);
  const tree = await stage.box.box.exec(['find', '/mnt/nas/demo', '-type', 'f']);
  expect(tree.stdout).toContain(`/mnt/nas/demo/db/${backupId(1)}/manifest.json`);
});

describe('behind our back', () => {
  test.each<[string, (stage: OffSiteStage, key: string, sha256: string) => Promise<unknown>]>([
    [
      'deleted',
      ({ client, bucket }, key) =>
        client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key })),
    ],
    [
      'altered, its metadata as they were',
      ({ client, bucket }, key, sha256) =>
        client.send(
          new PutObjectCommand({
            Bucket: bucket,
            Key: key,
            Body: Buffer.alloc(1000),
            Metadata: { sha256 },
          }),
        ),
    ],
  ])('%s: it is lost, shown and sent again', async (_name, harm) => {
    await using stage = await store.stage();
    const { files } = await stage.add(1);
    await upload(stage);
    const key = `demo/db/${backupId(1)}/shop.dump.zst`;
    const before = await stage.destination.get(key, null, AbortSignal.timeout(30_000));
    await harm(stage, key, files[0]?.sha256 ?? '');
    expect((await upload(stage)).sendings).toEqual([having({ id: backupId(1), ok: true })]);
    const after = await stage.destination.get(key, null, AbortSignal.timeout(30_000));
    expect(after?.equals(before ?? Buffer.alloc(0))).toBe(true);
    const { receipts } = await stage.box.json<{ receipts: readonly { type: string }[] }>([
      'show',
      backupId(1),
    ]);
    expect(receipts.map(({ type }) => type)).toEqual(['uploaded', 'lost', 'uploaded']);
  });
});

test('two hosts in one namespace: the second is refused until it takes over', async () => {
  await using stage = await store.stage();
  await using other = await store.host(stage.env);
  await stage.add(1);
  await upload(stage);
  const refused = await upload({ box: other });
  expect(refused.exitCode).toBe(11);
  expect(refused.sendings).toMatchObject([
    {
      id: null,
      ok: false,
      error: { code: 'locked', hint: expect.stringContaining('--take-over') as string },
    },
  ]);
  // What is here is pruned all the same.
  const own = openCatalog({ dir: other.dir, namespace: 'demo' });
  for (const hour of [1, 2]) {
    await commitBackup(own, { id: backupId(hour) });
  }
  const keep = { BACKUPD_KEEP: 'last=1' };
  const pruned = await other.backupd(['prune', '--json'], { env: keep });
  expect(pruned.exitCode).toBe(11);
  expect(JSON.parse(pruned.stdout)).toEqual([
    having({ id: backupId(2), where: 'local', removed: false }),
    having({ id: backupId(1), where: 'local', removed: true }),
    having({ id: null, where: 's3', removed: false, error: having({ code: 'locked' }) }),
  ]);
  expect(await stage.keys()).toContain(`demo/db/${backupId(1)}/manifest.json`);
  const checked = JSON.parse((await other.backupd(['check', '--json'])).stdout) as {
    checks: readonly { name: string; subject: string; ok: boolean }[];
  };
  expect(checked.checks).toEqual(
    expect.arrayContaining([
      having({ name: 'destination', subject: 's3', ok: true }),
      having({ name: 'owner', subject: 's3', ok: false }),
      having({ name: 'access', subject: 's3', ok: true }),
    ]),
  );
  expect((await upload({ box: other }, 's3', '--take-over')).exitCode).toBe(0);
  expect((await upload(stage)).exitCode).toBe(11);
});

interface Verdict {
  readonly id: string;
  readonly where: string;
  readonly removed: boolean;
  readonly reasons: readonly string[];
}

test('prune in a bucket that keeps versions leaves none; one that locks says until when', async () => {
  const keep = { BACKUPD_S3_KEEP: 'last=1' };
  await using stage = await store.stage({ bucket: { versioned: true } });
  await using locked = await store.stage({ bucket: { versioned: true, lock: { days: 3 } } });
  for (const each of [stage, locked]) {
    await each.add(1);
    await each.add(2);
    await upload(each);
  }
  async function prune({ box }: OffSiteStage): Promise<readonly Verdict[]> {
    const { exitCode, stdout } = await box.backupd(['prune', '--json'], { env: keep });
    expect(exitCode).toBe(0);
    const verdicts = JSON.parse(stdout) as readonly Verdict[];
    return verdicts.filter(({ where }) => where === 's3');
  }
  expect((await prune(stage)).map(({ id, removed }) => [id, removed])).toEqual([
    [backupId(2), false],
    [backupId(1), true],
  ]);
  const prefix = `demo/db/${backupId(1)}/`;
  const left = stage.destination.listVersions(prefix, AbortSignal.timeout(30_000));
  expect(await Array.fromAsync(left)).toEqual([]);

  const [, kept] = await prune(locked);
  expect(kept).toMatchObject({ id: backupId(1), removed: false });
  expect(kept?.reasons.at(-1)).toMatch(/^manifest\.json is locked until 20\d\d-/);
  expect(await locked.keys()).toContain(`${prefix}manifest.json`);
});

test('without a destination it ends with 3 and says what to do', async () => {
  await using host = await store.host({});
  const { exitCode, stderr } = await host.backupd(['upload']);
  expect(exitCode).toBe(3);
  expect(stderr).toContain('no destination is configured');
  expect(stderr).toContain('BACKUPD_S3_BUCKET');
});

test('people see what was sent', async () => {
  await using stage = await store.stage();
  await stage.add(1);
  const { stdout } = await stage.box.backupd(['upload']);
  expect(stdout).toMatch(new RegExp(`^uploaded db ${backupId(1)} to s3, 1\\.0 kB in `, 'm'));
  expect((await stage.box.backupd(['upload'])).stderr).toContain('nothing to send');
});
