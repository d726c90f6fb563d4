import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Message, MessageChannel } from '../../../src/core/channel.ts';
import { secret } from '../../../src/core/secret.ts';
import { emailChannel } from '../../../src/notifications/email.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { news } from '../../support/incidents.ts';
import { mailServer, type MailServer } from '../../support/mail-server.ts';
import { temporaryFolder } from '../../support/storage.ts';

const CALM = new AbortController().signal;
const AT = '2026-11-28T02:00:30.000Z';
const OPEN: Message = { type: 'news', news: [news('db')], at: AT };
const LOGIN = { user: 'backupd@example.com', pass: 'p@ss/w:rd-s3cr3t' };
const ENCODED = `${encodeURIComponent(LOGIN.user)}:${encodeURIComponent(LOGIN.pass)}`;

let ca: string;
let pair: { readonly cert: string; readonly key: string };
/** With STARTTLS and a login. */
let server: MailServer;

beforeAll(async () => {
  await using folder = await temporaryFolder();
  ca = await makeCertificates(folder.dir);
  const [cert, key] = await Promise.all([
    readFile(join(folder.dir, 'public.crt'), 'utf8'),
    readFile(join(folder.dir, 'private.key'), 'utf8'),
  ]);
  pair = { cert, key };
  server = await mailServer({ ...pair, login: LOGIN });
});
afterAll(async () => server[Symbol.asyncDispose]());
beforeEach(() => {
  server.mails.length = 0;
  server.fail(null);
});

function channel(
  address: string,
  change: { ca?: string | null; withinMs?: number } = {},
): MessageChannel {
  return emailChannel({
    server: secret(address),
    from: 'backupd <backupd@example.com>',
    to: ['ops@example.com', 'boss@example.com'],
    namespace: 'shop',
    ca: change.ca === undefined ? ca : change.ca,
    answerWithinMs: change.withinMs ?? 5000,
  });
}

function withLogin(): string {
  return `smtp://${ENCODED}@127.0.0.1:${server.port}`;
}

async function refusal(from: MessageChannel): Promise<string> {
  return from.send(OPEN, CALM).then(
    () => 'it was taken',
    (error: unknown) => `${(error as Error).name}: ${(error as Error).message}`,
  );
}

function header(raw: string, name: string): string | undefined {
  const unfolded = raw.replaceAll(/\r\n[ \t]+/g, ' ');
  return new RegExp(`^${name}: (.*)$`, 'im').exec(unfolded)?.[1]?.trim();
}

describe('mail', () => {
  test('is sent to all, with TLS and login, as what no person wrote', async () => {
    await channel(withLogin()).send(OPEN, CALM);
    const [mail] = server.mails;
    expect(mail).toMatchObject({
      from: 'backupd@example.com',
      to: ['ops@example.com', 'boss@example.com'],
      user: LOGIN.user,
      secure: true,
    });
    const raw = mail?.raw ?? '';
    expect(header(raw, 'Auto-Submitted')).toBe('auto-generated');
    expect(header(raw, 'Subject')).toBe('[backupd shop] backup of db failed');
    expect(header(raw, 'Content-Type')).toMatch(/^text\/plain/);
    expect(raw).toContain('What to do: Start it: "docker start shop-db-1".');
  });

  test('sent again is the same mail, and that it is over an answer to it', async () => {
    const mail = channel(withLogin());
    await mail.send(OPEN, CALM);
    await mail.send({ ...OPEN, at: '2026-11-28T03:00:00.000Z' }, CALM);
    await mail.send({ ...OPEN, news: [news('db', 'over')] }, CALM);
    const [id, again, over] = server.mails.map(({ raw }) => header(raw, 'Message-ID'));
    expect(id).toMatch(/^<[0-9a-f]{32}@example\.com>$/);
    expect(again).toBe(id);
    expect(over).not.toBe(id);
    expect(header(server.mails[2]?.raw ?? '', 'In-Reply-To')).toBe(id);
  });

  test('with a name that has line ends in it has one subject, and no header more', async () => {
    const title = 'backup of x\r\nBcc: all@example.com failed';
    await channel(withLogin()).send(
      { ...OPEN, news: [news('db', 'open', { title, message: 'a\r\n.\r\nQUIT' })] },
      CALM,
    );
    const [mail] = server.mails;
    expect(header(mail?.raw ?? '', 'Bcc')).toBeUndefined();
    expect(mail?.to).toHaveLength(2);
    expect(mail?.raw).toContain('What: a . QUIT');
  });

  test('goes with TLS from the start, too', async () => {
    await using secure = await mailServer({ ...pair, secure: true, login: LOGIN });
    await channel(`smtps://${ENCODED}@127.0.0.1:${secure.port}`).send(OPEN, CALM);
    expect(secure.mails).toMatchObject([{ user: LOGIN.user, secure: true }]);
  });

  test('goes without a login where nobody asks for one', async () => {
    await using open = await mailServer({ ...pair, startTls: false });
    await channel(`smtp://127.0.0.1:${open.port}`).send(OPEN, CALM);
    expect(open.mails).toMatchObject([{ user: null, secure: false }]);
  });
});

describe('a server', () => {
  test('that is not trusted gets nothing', async () => {
    expect(await refusal(channel(withLogin(), { ca: null }))).toMatch(/certificate/);
    expect(server.mails).toEqual([]);
  });

  test('without TLS never gets a password', async () => {
    await using plain = await mailServer({ ...pair, startTls: false, login: LOGIN });
    const said = await refusal(channel(`smtp://${ENCODED}@127.0.0.1:${plain.port}`));
    expect(said).toMatch(/NotDelivered: 127\.0\.0\.1:\d+: no TLS: /);
  });

  test('that refuses the login is not quoted with the password, in no form', async () => {
    const wrong = 'not-th3-right-one';
    const said = await refusal(
      channel(`smtp://${encodeURIComponent(LOGIN.user)}:${wrong}@127.0.0.1:${server.port}`),
    );
    expect(said).toMatch(/the login was refused: /);
    expect(said).toContain('[hidden]');
    expect(said).not.toContain(wrong);
    expect(said).not.toContain(Buffer.from(wrong).toString('base64'));
  });

  test('that refuses mail is quoted', async () => {
    server.fail({ code: 550, message: 'relay denied' });
    expect(await refusal(channel(withLogin()))).toMatch(/550 relay denied/);
    server.fail({ code: 451, message: 'try later' });
    expect(await refusal(channel(withLogin()))).toMatch(/451 try later/);
  });

  test('that hangs, at the end or from the beginning, is given up', async () => {
    server.fail('hang');
    expect(await refusal(channel(withLogin(), { withinMs: 300 }))).toMatch(/^NotDelivered/);
    const mute = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    expect(await refusal(channel(`smtp://127.0.0.1:${port}`, { withinMs: 300 }))).toMatch(
      /^NotDelivered/,
    );
    mute.close();
  });

  test('that is not there is named', async () => {
    const gone = await mailServer({ ...pair });
    await gone[Symbol.asyncDispose]();
    expect(await refusal(channel(`smtp://127.0.0.1:${gone.port}`))).toMatch(/ECONNREFUSED/);
  });

  test('is left when the daemon stops', async () => {
    server.fail('hang');
    const stopping = new AbortController();
    const sent = channel(withLogin()).send(OPEN, stopping.signal);
    setTimeout(() => {
      stopping.abort();
    }, 300);
    await expect(sent).rejects.toMatchObject({ name: 'AbortError' });
  });
});
