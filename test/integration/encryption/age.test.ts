import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  failureOf,
  flip,
  makeEncryptedBackup,
  type EncryptedBackup,
} from '../../support/encrypted-backup.ts';
import { newAgeKey, startKeyTools, type KeyTools } from '../../support/keys.ts';
import { containing, having } from '../../support/matchers.ts';
import { openRestoreStage, type RestoreStage } from '../../support/restore-stage.ts';
import type { ProcessResult } from '../../support/run-process.ts';

const [OWN, SPARE, OTHER] = await Promise.all([newAgeKey(), newAgeKey(), newAgeKey()]);
const RECIPIENTS = `${OWN.recipient} ${SPARE.recipient}`;
/** A chunk as it is stored. */
const CHUNK_BYTES = 64 * 1024 + 16;

const WITH_KEY = { BACKUPD_AGE_IDENTITY: OWN.identity };
const WITH_SPARE = { BACKUPD_AGE_IDENTITY: `${OTHER.identity}\n${SPARE.identity}` };
const WITH_WRONG = { BACKUPD_AGE_IDENTITY: OTHER.identity };
type Env = Readonly<Record<string, string>>;

const started = new AsyncDisposableStack();
let stage: RestoreStage;
let tools: KeyTools;
let backup: EncryptedBackup;
let id: string;
let folder: string;

beforeAll(async () => {
  stage = started.use(await openRestoreStage({ settings: { BACKUPD_AGE_RECIPIENTS: RECIPIENTS } }));
  tools = started.use(await startKeyTools(stage.dir));
  // More than a chunk that does not compress.
  await stage.server.sql(
    `create table noise as select n, encode(sha512(n::text::bytea), 'hex') from generate_series(1, 20000) as n`,
  );
  backup = await makeEncryptedBackup(stage);
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

test('every file is one of age, and nothing hides that', async () => {
  const names = await readdir(folder);
  expect(names.filter((name) => name.endsWith('.age')).toSorted()).toEqual([
    'crm.dump.zst.age',
    'globals.sql.zst.age',
    'shop.dump.zst.age',
  ]);
  for (const name of names.filter((each) => each !== 'manifest.json' && each !== 'receipts')) {
    const stored = await readFile(join(folder, name), 'latin1');
    expect(stored).toMatch(/^age-encryption\.org\/v1\n-> X25519 /);
  }
  const encryption = { scheme: 'age', keyIds: [OWN.recipient, SPARE.recipient] };
  expect(await stage.json(['list', 'db'])).toEqual([having({ id, encryption })]);
  expect(await stage.json(['show', id])).toMatchObject({ encryption });
  expect(await stage.json(['config'])).toMatchObject({ encryption, keys: null });
  expect((await backupd(['show', id])).stdout).toContain(`age, for ${OWN.recipient}`);
  expect((await backupd(['list', 'db'])).stdout).toContain(' age');
});

test('the stock tools open every file', async () => {
  for (const key of [OWN, SPARE]) {
    await tools.run('umask 077; cat > /tmp/key', `# a comment\n${key.identity}\n`);
    for (const file of ['shop.dump.zst.age', 'crm.dump.zst.age', 'globals.sql.zst.age']) {
      const stock = await tools.run(
        `age -d -i /tmp/key ${folder}/${file} | zstd -dc | sha256sum | head -c 64`,
      );
      expect(await backup.catDigest(file, WITH_KEY)).toBe(stock);
    }
  }
});

test('a file of the stock age is read as well as one of ours', async () => {
  await tools.run('umask 077; cat > /tmp/key', OWN.identity);
  const file = 'shop.dump.zst.age';
  const digest = await backup.catDigest(file, WITH_KEY);
  await tools.run(
    `age -d -i /tmp/key ${folder}/${file} | age -r ${OWN.recipient} -r ${OTHER.recipient} > ${stage.dir}/stock.age`,
  );
  const stock = await readFile(join(stage.dir, 'stock.age'));
  await backup.altered(
    file,
    () => stock,
    async () => {
      expect(await backup.catDigest(file, WITH_KEY)).toBe(digest);
      const verified = await backupd(['verify', id, '--json'], WITH_KEY);
      expect(JSON.parse(verified.stdout)).toEqual([having({ ok: true, depth: 'content' })]);
    },
  );
});

describe('without the key', () => {
  test('nothing is read, the target is not even asked for, and the error says what is missing', async () => {
    const before = await stage.content('shop');
    const missing = having({
      code: 'key-missing',
      exitCode: 15,
      message: containing(
        `backup ${id} of "db" is encrypted with age for ${OWN.recipient}, ${SPARE.recipient}`,
      ),
      hint: containing('docker exec -e BACKUPD_AGE_IDENTITY_FILE='),
    });
    expect(await failure(['restore', 'db', '--yes'])).toEqual(missing);
    expect(await failure(['restore', 'db', '--dry-run'])).toEqual(missing);
    expect(await failure(['restore', 'db', '--into', 'nowhere'])).toEqual(missing);
    const cat = await backupd(['cat', id, 'shop.dump.zst.age']);
    expect([cat.exitCode, cat.stdout]).toEqual([15, '']);
    expect(await stage.content('shop')).toEqual(before);
    expect(await stage.leftovers()).toEqual([]);
  });

  test('what is stored is verified', async () => {
    expect(await stage.json(['verify', id])).toEqual([
      having({ ok: true, depth: 'stored', error: null }),
    ]);
  });

  test('check finds that as it should be', async () => {
    const { stdout } = await backupd(['check', '--json']);
    const { checks } = JSON.parse(stdout) as { checks: readonly { name: string }[] };
    expect(checks.filter(({ name }) => name === 'keys')).toEqual([
      having({
        ok: true,
        message: `backups are encrypted for ${OWN.recipient}, ${SPARE.recipient}`,
      }),
      having({ ok: true, message: containing('no secret key is here') }),
    ]);
  });
});

describe('with another key', () => {
  test('nothing is read, and the error names both', async () => {
    const wrong = having({
      code: 'key-wrong',
      exitCode: 12,
      message: containing(
        `for ${OWN.recipient}, ${SPARE.recipient}, the key that is here is ${OTHER.recipient}`,
      ),
    });
    expect(await failure(['restore', 'db', '--yes'], WITH_WRONG)).toEqual(wrong);
    const cat = await backupd(['cat', id, 'shop.dump.zst.age'], WITH_WRONG);
    expect([cat.exitCode, cat.stdout]).toEqual([12, '']);
    const verified = await backupd(['verify', id, '--json'], WITH_WRONG);
    expect(verified.exitCode).toBe(12);
    expect(JSON.parse(verified.stdout)).toEqual([
      having({ ok: false, checkedBytes: 0, error: having({ code: 'key-wrong' }) }),
    ]);
    // It may be whole.
    expect(await stage.json(['list', 'db'])).toEqual([having({ id, damaged: false })]);
  });

  test('check tells that it does not fit', async () => {
    const { exitCode, stdout } = await backupd(['check', '--json'], WITH_WRONG);
    expect(exitCode).toBe(4);
    const { checks } = JSON.parse(stdout) as { checks: readonly object[] };
    expect(checks).toContainEqual(
      having({
        name: 'keys',
        ok: false,
        message: containing(`cannot be read with the secret key that is here: ${OTHER.recipient}`),
      }),
    );
  });
});

test('a key that is misspelt is told by its option, never by its value', async () => {
  const misspelt = `${OWN.identity.slice(0, -1)}${OWN.identity.endsWith('Q') ? 'P' : 'Q'}`;
  const { exitCode, stdout, stderr } = await backupd(['restore', 'db'], {
    BACKUPD_AGE_IDENTITY: misspelt,
  });
  expect(exitCode).toBe(3);
  expect(stderr).toContain('BACKUPD_AGE_IDENTITY: its value is not valid');
  expect(stdout + stderr).not.toContain(misspelt.slice(20));
});

describe('with the key', () => {
  test('check proves it by going there and back', async () => {
    const { stdout } = await backupd(['check', '--json'], WITH_SPARE);
    const { checks } = JSON.parse(stdout) as { checks: readonly object[] };
    expect(checks).toContainEqual(
      having({ name: 'keys', ok: true, message: containing('what is encrypted can be read') }),
    );
    expect(stdout).not.toContain(SPARE.identity);
  });

  test('all of it is verified', async () => {
    for (const env of [WITH_KEY, WITH_SPARE]) {
      const { stdout } = await backupd(['verify', id, '--json'], env);
      expect(JSON.parse(stdout)).toEqual([having({ ok: true, depth: 'content' })]);
    }
  });

  test('a restore brings everything back, also what was restored without zstd in the target', async () => {
    const before = { shop: await stage.content('shop'), crm: await stage.content('crm') };
    await stage.server.sql('drop table orders cascade; drop table noise');
    const { exitCode, stderr } = await backupd(['restore', 'db', '--yes'], WITH_SPARE);
    expect(exitCode, stderr).toBe(0);
    expect({ shop: await stage.content('shop'), crm: await stage.content('crm') }).toEqual(before);
    expect(await stage.leftovers()).toEqual([]);
  });
});

describe('what was altered', () => {
  const FILE = 'shop.dump.zst.age';

  async function expectCorrupt(): Promise<void> {
    const before = await stage.content('shop');
    const cat = await backupd(['cat', id, FILE], WITH_KEY);
    expect([cat.exitCode, cat.stderr]).toEqual([13, containing(FILE)]);
    expect(await failure(['restore', 'db', '--at', id, '--yes'], WITH_KEY)).toEqual(
      having({ code: 'archive-corrupt' }),
    );
    expect(await stage.content('shop')).toEqual(before);
    expect(await stage.leftovers()).toEqual([]);
  }

  function bodyOf(stored: Buffer): number {
    return stored.indexOf('\n', stored.indexOf('\n--- ') + 1) + 1 + 16;
  }

  /** Exchanges two chunks of the payload. */
  function reorder(stored: Buffer): Buffer {
    const at = bodyOf(stored);
    const [first, second] = [0, 1].map((n) =>
      stored.subarray(at + n * CHUNK_BYTES, at + (n + 1) * CHUNK_BYTES),
    );
    return Buffer.concat([
      stored.subarray(0, at),
      second ?? stored,
      first ?? stored,
      stored.subarray(at + 2 * CHUNK_BYTES),
    ]);
  }

  test.each([
    ['cut', (stored: Buffer) => stored.subarray(0, -1)],
    [
      'cut at the end of a chunk',
      (stored: Buffer) => stored.subarray(0, bodyOf(stored) + CHUNK_BYTES),
    ],
    ['cut in its header', (stored: Buffer) => stored.subarray(0, 60)],
    ['cut to nothing', () => Buffer.alloc(0)],
    ['lengthened', (stored: Buffer) => Buffer.concat([stored, Buffer.from('x')])],
    ['put into another order', reorder],
    ['altered by one bit', (stored: Buffer) => flip(stored, bodyOf(stored) + CHUNK_BYTES + 9)],
    ['altered in its header', (stored: Buffer) => flip(stored, 60)],
    ['altered in the code of its header', (stored: Buffer) => flip(stored, bodyOf(stored) - 30)],
    ['put in its place unencrypted', () => Buffer.from('no age at all')],
  ])('%s is refused, though hash and size fit', async (_, change) => {
    await backup.altered(FILE, change, expectCorrupt);
  });

  test('gives nothing but authentic bytes before cat fails', async () => {
    await backup.altered(
      FILE,
      (stored) => flip(stored, stored.length - 20),
      async () => {
        const script = `backupd cat ${id} ${FILE} >/tmp/out; echo $?; stat -c %s /tmp/out; sha256sum </tmp/out`;
        const { stdout } = await stage.box.exec(['sh', '-c', script], { env: WITH_KEY });
        const [exitCode, sizeBytes, digest] = stdout.split('\n');
        expect(exitCode).toBe('13');
        expect(Number(sizeBytes)).toBeGreaterThan(CHUNK_BYTES);
        await tools.run('umask 077; cat > /tmp/key', OWN.identity);
        const authentic = await tools.run(
          `(age -d -i /tmp/key ${backup.kept}/${FILE} | zstd -dc || true) | head -c ${sizeBytes} | sha256sum`,
        );
        expect(`${digest}\n`).toBe(authentic);
      },
    );
  });

  test('is told of kinds of keys that are not read', async () => {
    await tools.run('umask 077; cat > /tmp/key', OWN.identity);
    await tools.run(
      `ssh=$(echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKOCA2nUxxwbxc1kyB9/VSR8OC0FsRRJjR1IZ8UF4CPu x'); age -d -i /tmp/key ${folder}/${FILE} | age -r "$ssh" > ${stage.dir}/ssh.age`,
    );
    const other = await readFile(join(stage.dir, 'ssh.age'));
    await backup.altered(
      FILE,
      () => other,
      async () => {
        const { exitCode, stderr } = await backupd(['cat', id, FILE], WITH_KEY);
        expect([exitCode, stderr]).toEqual([14, containing('ssh-ed25519')]);
      },
    );
  });
});

test('no secret was to be seen anywhere', async () => {
  const found = await stage.box.exec(['grep', '-rlaF', OWN.identity, '/backups', '/tmp']);
  expect(found).toMatchObject({ exitCode: 1, stdout: '' });
});
