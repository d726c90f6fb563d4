import { HIDDEN } from '../core/secret.ts';
import { certificates } from './destination-formats.ts';
import { passphrase } from './key-formats.ts';
import {
  alarmEvents,
  mailAddress,
  mailAddresses,
  plainUrl,
  secretUrl,
  secretWord,
  smtpUrl,
} from './notify-formats.ts';
import { option } from './option.ts';

function hidden(): string {
  return HIDDEN;
}

/** The host tells which one it is; what follows is the secret. */
function hidePath(text: string): string {
  return `${URL.parse(text.trim())?.origin ?? ''}/${HIDDEN}`;
}

function hideLogin(text: string): string {
  const url = URL.parse(text.trim());
  return url === null ? HIDDEN : `${url.protocol}//${url.host}`;
}

/** Options of the ways in which people are told ([alarms.md]). In the file they are under `notify:`. */
export const notifySchema = {
  notifySlackUrl: option({
    doc: 'The address of an incoming webhook of Slack, or of a chat that takes the same ([alarms.md](alarms.md)). It is a secret.',
    default: null,
    env: 'BACKUPD_NOTIFY_SLACK_URL',
    kind: secretUrl,
    show: hidePath,
  }),
  notifyWebhookUrl: option({
    doc: 'Where JSON is posted to.',
    default: null,
    env: 'BACKUPD_NOTIFY_WEBHOOK_URL',
    kind: secretUrl,
    show: hidePath,
  }),
  notifyWebhookSecret: option({
    doc: 'Signs what is posted there: `X-Backupd-Signature: sha256=<HMAC of the body>`.',
    default: null,
    env: 'BACKUPD_NOTIFY_WEBHOOK_SECRET',
    kind: passphrase,
    show: hidden,
  }),
  notifySmtpUrl: option({
    doc: 'The server that sends mail: `smtp://` with STARTTLS, `smtps://` with TLS from the start. Where it has a login, nothing is sent without TLS.',
    default: null,
    env: 'BACKUPD_NOTIFY_SMTP_URL',
    kind: smtpUrl,
    show: hideLogin,
  }),
  notifyEmailFrom: option({
    doc: 'From whom mail is.',
    default: null,
    otherwise: 'who logs in, where that is an address; else `backupd@` the server',
    env: 'BACKUPD_NOTIFY_EMAIL_FROM',
    kind: mailAddress,
  }),
  notifyEmailTo: option({
    doc: 'Who gets it.',
    default: null,
    env: 'BACKUPD_NOTIFY_EMAIL_TO',
    kind: mailAddresses,
  }),
  notifyPagerdutyKey: option({
    doc: 'The integration key of a PagerDuty service (Events API v2).',
    default: null,
    env: 'BACKUPD_NOTIFY_PAGERDUTY_KEY',
    kind: secretWord,
    show: hidden,
  }),
  notifyPagerdutyUrl: option({
    doc: 'Where PagerDuty takes events; in the EU it is `https://events.eu.pagerduty.com/v2/enqueue`.',
    default: 'https://events.pagerduty.com/v2/enqueue',
    env: 'BACKUPD_NOTIFY_PAGERDUTY_URL',
    kind: plainUrl,
  }),
  notifyHealthchecksUrl: option({
    doc: 'Is asked for after each backup, with `/fail` behind it where that failed. With `{source}` in it each source has an address of its own; without, success is told only when all are well.',
    default: null,
    env: 'BACKUPD_NOTIFY_HEALTHCHECKS_URL',
    kind: secretUrl,
    show: hidePath,
  }),
  notifyCa: option({
    doc: 'Certificates of authorities that are trusted for all of these besides the usual ones.',
    default: null,
    env: 'BACKUPD_NOTIFY_CA',
    kind: certificates,
    show: () => '[certificates]',
  }),
  notifyOn: option({
    doc: 'What people are told of; `failure` includes verification and upload, `recovery` is that something is over.',
    default: 'failure,overdue,recovery,drill,disk,config',
    env: 'BACKUPD_NOTIFY_ON',
    kind: alarmEvents,
  }),
};
