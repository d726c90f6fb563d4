import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import type { createTransport } from 'nodemailer';
import { occurrenceKey, type News } from '../core/alarm-record.ts';
import { describeNews, describeTest, type AlarmText } from '../core/alarm-text.ts';
import { NotDelivered, type Message, type MessageChannel } from '../core/channel.ts';
import type { EmailSettings } from '../core/notify-settings.ts';
import { redact } from './redact.ts';
import type { Sending } from './sending.ts';

type EmailOptions = EmailSettings & Sending;

/** A conversation has so many steps at most. */
const STEPS = 4;

/** Mail by SMTP. Nobody logs in without TLS, and no certificate is taken that is not right. */
export function emailChannel(options: EmailOptions): MessageChannel {
  const { namespace, from, to } = options;
  return {
    name: 'email',
    kind: 'digests',
    async send(message, signal) {
      const { subject, lines } = textOf(message, namespace);
      const limit = AbortSignal.timeout(options.answerWithinMs * STEPS);
      const { createTransport } = await import('nodemailer');
      const transport = createTransport(toTransport(options));
      try {
        await transport.sendMail({
          from,
          to: [...to],
          subject,
          text: `${lines.join('\n')}\n`,
          ...threadOf(message, options),
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
          disableFileAccess: true,
          disableUrlAccess: true,
          signal: AbortSignal.any([signal, limit]),
        });
      } catch (error) {
        signal.throwIfAborted();
        throw notDelivered(error, options, limit.aborted);
      } finally {
        transport.close();
      }
    },
  };
}

function textOf(message: Message, namespace: string): AlarmText {
  return message.type === 'test'
    ? describeTest(namespace)
    : describeNews(message.news, namespace, Date.parse(message.at));
}

function toTransport({
  server,
  ca,
  answerWithinMs,
}: EmailOptions): Parameters<typeof createTransport>[0] & object {
  const { protocol, hostname, port, username, password } = new URL(server.reveal());
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const secure = protocol === 'smtps:';
  const hasLogin = username !== '';
  return {
    host,
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: hasLogin && !secure,
    ...(hasLogin
      ? { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }
      : {}),
    connectionTimeout: answerWithinMs,
    greetingTimeout: answerWithinMs,
    socketTimeout: answerWithinMs,
    dnsTimeout: answerWithinMs,
    tls: {
      minVersion: 'TLSv1.2',
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === null ? {} : { ca: [...rootCertificates, ca] }),
    },
  };
}

/** What is sent again has the same id; that an incident is over is an answer to that it began. */
function threadOf(
  message: Message,
  options: EmailOptions,
): { readonly messageId?: string; readonly inReplyTo?: string } {
  if (message.type === 'test') {
    return {};
  }
  const [first, ...others] = message.news;
  const messageId = idOf(message.news, options);
  return first !== undefined && others.length === 0 && first.tells === 'over'
    ? { messageId, inReplyTo: idOf([{ ...first, tells: 'open' }], options) }
    : { messageId };
}

function idOf(news: readonly News[], { namespace, from }: EmailOptions): string {
  const keys = news.map(({ incident, tells }) => `${occurrenceKey(incident)} ${tells}`);
  const digest = createHash('sha256')
    .update([namespace, ...keys].join('\n'))
    .digest('hex');
  const domain = /@([^\s<>@]+)>?$/.exec(from)?.[1] ?? 'backupd';
  return `<${digest.slice(0, 32)}@${domain}>`;
}

/** What the library says can have secrets in it: the server may repeat what it was told. */
function notDelivered(
  error: unknown,
  { server, answerWithinMs }: EmailOptions,
  isLate: boolean,
): NotDelivered {
  const { host, username, password } = new URL(server.reveal());
  const user = decodeURIComponent(username);
  const pass = decodeURIComponent(password);
  const plain = Buffer.from(`\0${user}\0${pass}`).toString('base64');
  const { code } = error as { readonly code?: string };
  const said = error instanceof Error ? error.message : String(error);
  const why = isLate
    ? `not taken within ${(answerWithinMs * STEPS) / 1000} s`
    : redact(said, [server.reveal(), pass, plain]);
  const what = code === 'EAUTH' ? 'the login was refused: ' : code === 'ETLS' ? 'no TLS: ' : '';
  return new NotDelivered(`${host}: ${what}${why}`, { cause: error });
}
