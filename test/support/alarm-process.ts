/**
 * Tells one incident through PagerDuty, as a process that can be killed: `node alarm-process.ts URL DIR`, DIR being where
 * backups are. Ends when it is told and written down.
 */
import { argv } from 'node:process';
import { pino } from 'pino';
import { ALARM_EVENTS } from '../../src/core/incident.ts';
import { secret } from '../../src/core/secret.ts';
import { teller } from '../../src/daemon/teller.ts';
import { pagerdutyChannel } from '../../src/notifications/pagerduty.ts';
import { failure } from './incidents.ts';

const [, , url = '', dir = '', ...wrong] = argv;
const sending = { namespace: 'shop', ca: null, answerWithinMs: 5000 };
const channel = pagerdutyChannel({ ...sending, key: secret('key'), url });
const log = pino({}, process.stderr);
const options = { channel, on: ALARM_EVENTS, namespace: 'shop', dir, log };
const { signal } = new AbortController();

const telling = teller(options, signal);
const report = { healthy: false, sources: [], destinations: [], problems: [] };
telling.hear({ report, incidents: wrong.map((source) => failure(source)), unseen: [] });
await telling.idle();
