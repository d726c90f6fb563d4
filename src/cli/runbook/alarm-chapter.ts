import type { OptionInForce } from '../../core/settings.ts';
import type { Runbook } from '../../jobs/runbook.ts';
import { code, type Block } from './markdown.ts';

/** How the options of each channel begin, and what people call it. */
const CHANNELS = [
  ['BACKUPD_NOTIFY_SLACK_URL', 'Slack'],
  ['BACKUPD_NOTIFY_EMAIL_TO', 'e-mail'],
  ['BACKUPD_NOTIFY_PAGERDUTY_KEY', 'PagerDuty'],
  ['BACKUPD_NOTIFY_WEBHOOK_URL', 'a webhook'],
  ['BACKUPD_NOTIFY_HEALTHCHECKS_URL', 'pings to a service that misses them'],
] as const;

/** Whom alarms reach: channels by name, and the addresses of mail, which are no secret. */
export function alarmChapter({ options }: Pick<Runbook, 'options'>): readonly Block[] {
  const reached = CHANNELS.flatMap(([name, word]) => {
    const value = valueOf(options, name);
    if (value === null) {
      return [];
    }
    return [`- ${word}${name === 'BACKUPD_NOTIFY_EMAIL_TO' ? `: ${code(value)}` : ''}`];
  });
  return [
    '## Whom alarms reach',
    reached.length === 0
      ? '**Nobody.** No channel is configured: look at the status page, or let Prometheus do it.'
      : reached.join('\n'),
    'Who else must know: ______________________',
  ];
}

function valueOf(options: readonly OptionInForce[], name: string): string | null {
  const value = options.find((option) => option.name === name)?.value ?? null;
  return value === '' ? null : value;
}
