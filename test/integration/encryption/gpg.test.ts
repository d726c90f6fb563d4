import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  failureOf,
  flip,
  makeEncryptedBackup,
  type EncryptedBackup,
} from '../../support/encrypted-backup.ts';
import {
  startKeyTools,
  untilNothingOfGpg,
  type GpgKeyPair,
  type KeyTools,
} from '../../support/keys.ts';
import { containing, having } from '../../support/matchers.ts';
import { openRestoreStage, type RestoreStage } from '../../support/restore-stage.ts';
import type { ProcessResult } from '../../support/run-process.ts';

const PASSPHRASE = 'correct horse "battery" staple';
type Env = Readonly<Record<string, string>>;

const started = new AsyncDisposableStack();
let stage: RestoreStage;
let tools: KeyTools;
let plain: GpgKeyPair;
let guarded: GpgKeyPair;
let other: GpgKeyPair;
let recipients: Env;
let withKey: Env;
let backup: EncryptedBackup;
let id: string;
let folder: string;

beforeAll(async () => {
  stage = started.use(await openRestoreStage());
  tools = started.use(await startKeyTools(stage.dir));
  plain = await tools.makeGpgKey('plain');
  guarded = await tools.makeGpgKey('guarded', { passphrase: PASSPHRASE });
  other = await tools.makeGpgKey('other');
  recipients = { BACKUPD_GPG_RECIPIENT_KEYS: plain.publicKey + guarded.publicKey };
  withKey = { BACKUPD_GPG_SECRET_KEY: plain.secretKey };
  await stage.server.sql(
    `create table noise as select n, encode(sha512(n::text::bytea), 'hex') from generate_series(1, 20000) as n`,
  );
  backup = await makeEncryptedBackup(stage, recipients);
  ({ id, folder } = backup);
});
afterAll(async () => {
  await started.disposeAsync();
});

async function backupd(args: readonly string[], env: Env = {}): Promise<ProcessResult> {
  return stage.backupd(args, { env });
}

async function failure(args: readonly string[], env: Env = {}): Promise<unknown> {
  return failureOf(stage, args, env);
}

test('the stock gpg opens every file, and each key alone does', async () => {
  const encryption = { scheme: 'gpg', keyIds: [plain.fingerprint, guarded.fingerprint] };
  expect(await stage.json(['show', id])).toMatchObject({ encryption });
  for (const file of ['shop.dump.zst.gpg', 'crm.dump.zst.gpg', 'globals.sql.zst.gpg']) {
    const digest = await backup.catDigest(file, withKey);
    for (const { secretKey, passphrase } of [
      { ...plain, passphrase: '' },
      { ...guarded, passphrase: PASSPHRASE },
    ]) {
      const gpg = `gpg --homedir /tmp/alone --batch --quiet --pinentry-mode loopback --passphrase '${passphrase}'`;
      const stock = await tools.run(
        `rm -rf /tmp/alone; mkdir -m 700 /tmp/alone; ${gpg} --import; ${gpg} -d ${folder}/${file} | zstd -dc | sha256sum | head -c 64`,
        secretKey,
      );
      expect(stock).toBe(digest);
    }
  }
});

test('a file of the stock gpg is read as well as one of ours', async () => {
  const file = 'shop.dump.zst.gpg';
  const digest = await backup.catDigest(file, withKey);
  await tools.run(
    `gpg --batch --quiet -d ${folder}/${file} | gpg --batch --quiet --trust-model always -r ${plain.fingerprint} -o ${stage.dir}/stock.gpg -e`,
  );
  const stock = await readFile(join(stage.dir, 'stock.gpg'));
  await backup.altered(
    file,
    () => stock,
    async () => {
      expect(await backup.catDigest(file, withKey)).toBe(digest);
    },
  );
});

test('without the key, with another one, with the wrong passphrase and without one nothing is read', async () => {
  const before = await stage.content('shop');
  const { secretKey } = guarded;
  const cases: readonly (readonly [Env, string, number, string])[] = [
    [{}, 'key-missing', 15, 'BACKUPD_GPG_SECRET_KEY'],
    [{ BACKUPD_GPG_SECRET_KEY: other.secretKey }, 'key-wrong', 12, 'of one of those'],
    [{ BACKUPD_GPG_SECRET_KEY: secretKey }, 'key-missing', 15, 'BACKUPD_GPG_PASSPHRASE'],
    [
      { BACKUPD_GPG_SECRET_KEY: secretKey, BACKUPD_GPG_PASSPHRASE: 'wrong' },
      'key-wrong',
      12,
      'BACKUPD_GPG_PASSPHRASE',
    ],
  ];
  for (const [env, code, exitCode, hint] of cases) {
    expect(await failure(['restore', 'db', '--yes'], env)).toEqual(
      having({ code, exitCode, hint: containing(hint) }),
    );
    const cat = await backupd(['cat', id, 'shop.dump.zst.gpg'], env);
    expect([cat.exitCode, cat.stdout]).toEqual([exitCode, '']);
  }
  expect(await stage.content('shop')).toEqual(before);
  await untilNothingOfGpg(stage);
});

test('a restore brings everything back, with a passphrase too', async () => {
  const before = await stage.content('shop');
  for (const env of [
    withKey,
    { BACKUPD_GPG_SECRET_KEY: guarded.secretKey, BACKUPD_GPG_PASSPHRASE: PASSPHRASE },
  ]) {
    await stage.server.sql('drop table orders cascade; drop table noise');
    const { exitCode, stderr } = await backupd(['restore', 'db', '--yes'], env);
    expect(exitCode, stderr).toBe(0);
    expect(await stage.content('shop')).toEqual(before);
    const verified = await backupd(['verify', id, '--json'], env);
    expect(JSON.parse(verified.stdout)).toEqual([having({ ok: true, depth: 'content' })]);
  }
  await untilNothingOfGpg(stage);
});

test('check proves the keys by going there and back', async () => {
  const { stdout } = await backupd(['check', '--json'], { ...recipients, ...withKey });
  const { checks } = JSON.parse(stdout) as { checks: readonly object[] };
  expect(checks).toContainEqual(
    having({ name: 'keys', subject: 'gpg', ok: true, message: containing('can be read') }),
  );
  expect(stdout).not.toContain('PRIVATE');
});

describe('what was altered is refused, though hash and size fit', () => {
  const FILE = 'shop.dump.zst.gpg';

  test.each([
    ['cut by a byte', (stored: Buffer) => stored.subarray(0, -1)],
    ['cut by half', (stored: Buffer) => stored.subarray(0, stored.length / 2)],
    ['cut to its beginning', (stored: Buffer) => stored.subarray(0, 20)],
    ['cut to nothing', () => Buffer.alloc(0)],
    ['altered by one bit', (stored: Buffer) => flip(stored, stored.length / 2)],
    ['altered at its end', (stored: Buffer) => flip(stored, stored.length - 3)],
    ['put in its place unencrypted', () => Buffer.from('no gpg at all')],
  ])('%s', async (_, change) => {
    const before = await stage.content('shop');
    await backup.altered(FILE, change, async () => {
      const cat = await backupd(['cat', id, FILE], withKey);
      expect([cat.exitCode, cat.stderr]).toEqual([13, containing(FILE)]);
      expect(await failure(['restore', 'db', '--at', id, '--yes'], withKey)).toEqual(
        having({ code: 'archive-corrupt' }),
      );
    });
    expect(await stage.content('shop')).toEqual(before);
    expect(await stage.leftovers()).toEqual([]);
    await untilNothingOfGpg(stage);
  });

  test('a message that is only signed or packed is not taken for an encrypted one', async () => {
    await tools.run(`echo rows | gpg --batch --quiet --store -o ${stage.dir}/stored.gpg`);
    const stored = await readFile(join(stage.dir, 'stored.gpg'));
    await backup.altered(
      FILE,
      () => stored,
      async () => {
        expect((await backupd(['cat', id, FILE], withKey)).exitCode).toBe(13);
      },
    );
  });

  test('of a file whose hash does not fit cat gives nothing', async () => {
    const bytes = await readFile(join(folder, FILE));
    await tools.run(
      `printf 'x' | dd of=${folder}/${FILE} bs=1 seek=${bytes.length - 5} conv=notrunc status=none`,
    );
    const cat = await backupd(['cat', id, FILE], withKey);
    expect([cat.exitCode, cat.stdout]).toEqual([13, '']);
    await tools.run(
      `dd of=${folder}/${FILE} bs=1 seek=${bytes.length - 5} conv=notrunc status=none`,
      bytes.subarray(-5, -4).toString('latin1'),
    );
  });
});
