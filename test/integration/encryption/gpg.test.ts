import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alterArchive, startKeyTools, type GpgKeyPair, type KeyTools } from '../../support/keys.ts';
import { containing, having, matching } from '../../support/matchers.ts';
import { openRestoreStage, type RestoreStage } from '../../support/restore-stage.ts';
import { runProcess, type ProcessResult } from '../../support/run-process.ts';
import { waitFor } from '../../support/wait-for.ts';

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
let id: string;
let folder: string;

beforeAll(async () => {
  stage = started.use(await openRestoreStage({ settings: { BACKUPD_KEEP: 'all' } }));
  tools = started.use(await startKeyTools(stage.dir));
  plain = await tools.makeGpgKey('plain');
  guarded = await tools.makeGpgKey('guarded', { passphrase: PASSPHRASE });
  other = await tools.makeGpgKey('other');
  recipients = { BACKUPD_GPG_RECIPIENT_KEYS: plain.publicKey + guarded.publicKey };
  withKey = { BACKUPD_GPG_SECRET_KEY: plain.secretKey };
  await stage.server.sql(
    `create table noise as select n, encode(sha512(n::text::bytea), 'hex') from generate_series(1, 20000) as n`,
  );
  id = await backUp(recipients);
  folder = join(stage.dir, 'db', id);
});
afterAll(async () => {
  await started.disposeAsync();
});

async function backUp(env: Env): Promise<string> {
  const { exitCode, stdout, stderr } = await stage.backupd(['backup', 'db', '--json'], { env });
  expect(exitCode, stdout + stderr).toBe(0);
  const { runs } = JSON.parse(stdout) as { runs: { id: string }[] };
  return runs[0]?.id ?? '';
}

async function backupd(args: readonly string[], env: Env = {}): Promise<ProcessResult> {
  return stage.backupd(args, { env });
}

async function failure(args: readonly string[], env: Env = {}): Promise<unknown> {
  const { exitCode, stderr } = await backupd([...args, '--json'], env);
  const { error } = JSON.parse(stderr) as { error: object };
  expect(error).toMatchObject({ exitCode });
  return error;
}

async function catDigest(file: string, env: Env): Promise<string> {
  const script = `backupd cat ${id} ${file} | sha256sum`;
  const { stdout } = await stage.box.exec(['sh', '-c', script], { env });
  return stdout.slice(0, 64);
}

async function altered(
  name: string,
  change: (stored: Buffer) => Buffer,
  check: () => Promise<void>,
): Promise<void> {
  const kept = `${stage.dir}/kept`;
  await cp(folder, kept, { recursive: true });
  try {
    await alterArchive(folder, name, change);
    await check();
  } finally {
    await runProcess(['rm', '-rf', folder]);
    await runProcess(['mv', kept, folder]);
  }
}

/** Homes of gpg, and what runs in them. */
async function leftOfGpg(): Promise<string> {
  const script = `
    ls -d /dev/shm/backupd-gpg-* /tmp/backupd-gpg-* 2>/dev/null
    for dir in /proc/[0-9]*; do tr '\\000' ' ' <"$dir/cmdline" | grep -a '^\\(gpg\\|gpg-agent\\|keyboxd\\|scdaemon\\) '; done 2>/dev/null
    true`;
  return (await stage.box.exec(['sh', '-c', script], { user: 'root' })).stdout;
}

async function expectNothingLeft(): Promise<void> {
  let left = '';
  await waitFor('end of gpg', async () => {
    left = await leftOfGpg();
    return left === '';
  });
  expect(left).toBe('');
}

test('the stock gpg opens every file, and each key alone does', async () => {
  const encryption = { scheme: 'gpg', keyIds: [plain.fingerprint, guarded.fingerprint] };
  expect(await stage.json(['show', id])).toMatchObject({ encryption });
  for (const file of ['shop.dump.zst.gpg', 'crm.dump.zst.gpg', 'globals.sql.zst.gpg']) {
    const digest = await catDigest(file, withKey);
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
  const digest = await catDigest(file, withKey);
  await tools.run(
    `gpg --batch --quiet -d ${folder}/${file} | gpg --batch --quiet --trust-model always -r ${plain.fingerprint} -o ${stage.dir}/stock.gpg -e`,
  );
  const stock = await readFile(join(stage.dir, 'stock.gpg'));
  await altered(
    file,
    () => stock,
    async () => {
      expect(await catDigest(file, withKey)).toBe(digest);
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
  await expectNothingLeft();
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
  await expectNothingLeft();
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

  function flip(stored: Buffer, at: number): Buffer {
    const flipped = Buffer.from(stored);
    const place = Math.floor(at);
    flipped.writeUInt8(flipped.readUInt8(place) ^ 1, place);
    return flipped;
  }

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
    await altered(FILE, change, async () => {
      const cat = await backupd(['cat', id, FILE], withKey);
      expect([cat.exitCode, cat.stderr]).toEqual([13, containing(FILE)]);
      expect(await failure(['restore', 'db', '--at', id, '--yes'], withKey)).toEqual(
        having({ code: 'archive-corrupt' }),
      );
    });
    expect(await stage.content('shop')).toEqual(before);
    expect(await stage.leftovers()).toEqual([]);
    await expectNothingLeft();
  });

  test('a message that is only signed or packed is not taken for an encrypted one', async () => {
    await tools.run(`echo rows | gpg --batch --quiet --store -o ${stage.dir}/stored.gpg`);
    const stored = await readFile(join(stage.dir, 'stored.gpg'));
    await altered(
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

describe('a key that cannot be encrypted for', () => {
  async function expectRefused(env: Env, message: unknown): Promise<void> {
    const before = await stage.json(['list', 'db']);
    const { exitCode, stdout } = await backupd(['backup', 'db', '--json'], env);
    expect(exitCode).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      runs: [{ outcome: 'failed', id: null, error: { code: 'config-invalid', message } }],
    });
    expect(await stage.json(['list', 'db'])).toEqual(before);
    expect(await stage.leftovers()).toEqual([]);
    const check = await backupd(['check', '--json'], env);
    expect(JSON.parse(check.stdout)).toMatchObject({ ok: false });
    await expectNothingLeft();
  }

  test('is told when it is expired', async () => {
    const short = await tools.makeGpgKey('short', { expires: 'seconds=1' });
    await waitFor('end of the key', async () => {
      const listed = await tools.run(`gpg --batch --with-colons --list-keys ${short.fingerprint}`);
      return listed.includes('pub:e:');
    });
    await expectRefused(
      { BACKUPD_GPG_RECIPIENT_KEYS: plain.publicKey + short.publicKey },
      matching(new RegExp(`for key ${short.fingerprint}: it is expired`)),
    );
  });

  test('is told when it is revoked', async () => {
    const gone = await tools.makeGpgKey('gone');
    await tools.run(
      `sed 's/^:---/---/' /tmp/.gnupg/openpgp-revocs.d/${gone.fingerprint}.rev | gpg --batch --quiet --import`,
    );
    const publicKey = await tools.run(`gpg --armor --export ${gone.fingerprint}`);
    await expectRefused(
      { BACKUPD_GPG_RECIPIENT_KEYS: publicKey },
      containing(`${gone.fingerprint}: it is revoked`),
    );
  });

  test('is told when it is only for signatures', async () => {
    await tools.run(
      `gpg --batch --quiet --passphrase '' --quick-gen-key signer ed25519 sign never`,
    );
    const publicKey = await tools.run(`gpg --armor --export =signer`);
    await expectRefused(
      { BACKUPD_GPG_RECIPIENT_KEYS: publicKey },
      containing('none of its subkeys can be encrypted for'),
    );
  });

  test('is told when it is none', async () => {
    const broken = plain.publicKey.replace(/\n([A-Za-z0-9+/]{10})/, '\nAAAAAAAAAA');
    await expectRefused(
      { BACKUPD_GPG_RECIPIENT_KEYS: broken },
      containing('gpg finds no public key in it'),
    );
  });
});

test('a key that expires soon is a warning of the backup, and one that did still reads', async () => {
  const soon = await tools.makeGpgKey('soon', { expires: '10d' });
  const env = { BACKUPD_GPG_RECIPIENT_KEYS: soon.publicKey };
  const made = await backUp(env);
  const [entry] = await stage.json<readonly { id: string; warnings: readonly object[] }[]>([
    'list',
    'db',
  ]);
  expect(entry).toMatchObject({ id: made });
  expect(entry?.warnings).toContainEqual(
    having({
      code: 'key-expiring',
      message: matching(
        new RegExp(`^key ${soon.fingerprint} expires in (?:9|10) days, on 2\\d{3}-`),
      ),
    }),
  );
  // As it will be in a month.
  await tools.run(
    `gpg --batch --quiet --passphrase '' --quick-set-expire ${soon.fingerprint} seconds=1`,
  );
  await waitFor('end of the key', async () =>
    (await tools.run(`gpg --batch --with-colons --list-keys ${soon.fingerprint}`)).includes(
      'pub:e:',
    ),
  );
  const secretKey = await tools.run(
    `gpg --batch --pinentry-mode loopback --passphrase '' --armor --export-secret-keys ${soon.fingerprint}`,
  );
  const verified = await backupd(['verify', made, '--json'], { BACKUPD_GPG_SECRET_KEY: secretKey });
  expect(JSON.parse(verified.stdout)).toEqual([having({ ok: true, depth: 'content' })]);
});

test('what a command leaves that is killed is gone with the next one', async () => {
  const env = { ...recipients, ...withKey };
  const dying = await stage.backupd(['restore', 'db', '--at', id, '--yes'], {
    env,
    killAt: 'beside-created',
  });
  expect(dying.exitCode).toBe(137);
  expect(await leftOfGpg()).toContain('/dev/shm/backupd-gpg-');
  await backUp(recipients);
  await expectNothingLeft();
  expect(await stage.leftovers()).toEqual([]);
});
