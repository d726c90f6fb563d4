import type { News } from './alarm-record.ts';
import { formatDuration } from './duration.ts';

/** What people read. */
export interface AlarmText {
  /** One line. */
  readonly subject: string;
  readonly lines: readonly string[];
}

/** Longer ones are cut: what matters comes first, and the log has all of it. */
const LONGEST = 600;
/** So many news are spelt out in one message. */
const MOST_LINES = 20;

/** What is markup in chat or mail, and what looks like it: `count(*) > 9` has to be understood. */
const LOOKALIKES: Readonly<Record<string, string>> = {
  '<': '\u2039',
  '>': '\u203A',
  '*': '\u2217',
  '`': "'",
  '~': '\u223C',
  '|': '\u00A6',
  // The beginning of the address of a link.
  '](': '] (',
};

/** In one line and without anything that is more than text in mail and chat: names can hold whatever somebody typed. */
export function plainText(text: string): string {
  const plain = text
    .replaceAll(/[<>*`~|]|\]\(/g, (found) => LOOKALIKES[found] ?? '')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  return plain.length <= LONGEST ? plain : `${plain.slice(0, LONGEST)}...`;
}

/** What is told of these news; one is told in full, several in a line each. */
export function describeNews(news: readonly News[], namespace: string, nowMs: number): AlarmText {
  const [first, ...others] = news;
  if (first === undefined) {
    return { subject: '', lines: [] };
  }
  return others.length === 0
    ? describeOne(first, namespace, nowMs)
    : describeSeveral(news, namespace, nowMs);
}

export const TEST_TEXT = 'This is a test: somebody ran "backupd check --notify". Nothing is wrong.';

/** What a test says, so that nobody takes it for an alarm. */
export function describeTest(namespace: string): AlarmText {
  return {
    subject: `${prefix(namespace)} test`,
    lines: [TEST_TEXT],
  };
}

function describeOne({ incident, tells }: News, namespace: string, nowMs: number): AlarmText {
  const { code, message, hint, since, overAt } = incident;
  const what = plainText(`${message} (${code})`);
  const subject = `${prefix(namespace)} ${headline({ incident, tells })}`;
  if (tells === 'open') {
    return {
      subject,
      lines: [
        `What: ${what}`,
        `Since: ${instant(since, nowMs)}`,
        ...lastGood(incident, nowMs),
        `What to do: ${plainText(hint ?? 'See "backupd status" and "backupd check" in the backupd container.')}`,
      ],
    };
  }
  const lastedMs = Date.parse(overAt ?? since) - Date.parse(since);
  return {
    subject,
    lines: [
      `It was: ${what}`,
      `From ${minutes(since)} to ${minutes(overAt ?? since)} (${formatDuration(lastedMs)})`,
      ...lastGood(incident, nowMs),
    ],
  };
}

function describeSeveral(news: readonly News[], namespace: string, nowMs: number): AlarmText {
  const [wrong, over] = [
    news.filter(({ tells }) => tells === 'open').length,
    news.filter(({ tells }) => tells !== 'open').length,
  ];
  const counts = [
    ...(wrong > 0 ? [`${wrong} ${wrong === 1 ? 'problem' : 'problems'}`] : []),
    ...(over > 0 ? [`${over} ${over === 1 ? 'is' : 'are'} over`] : []),
  ];
  const more = news.length - MOST_LINES;
  return {
    subject: `${prefix(namespace)} ${counts.join(', ')}`,
    lines: [
      ...news.slice(0, MOST_LINES).map((each) => `- ${describeLine(each, nowMs)}`),
      ...(more > 0 ? [`- and ${more} more`] : []),
      'What to do: "backupd status" in the backupd container has all of them, each with its hint.',
    ],
  };
}

function describeLine({ incident, tells }: News, nowMs: number): string {
  const { message, code, since, lastSuccessAt } = incident;
  if (tells !== 'open') {
    return headline({ incident, tells });
  }
  const good = lastSuccessAt === null ? '' : `; last good ${instant(lastSuccessAt, nowMs)}`;
  return `${headline({ incident, tells })}: ${plainText(message)} (${code}), since ${minutes(since)}${good}`;
}

function headline({ incident, tells }: News): string {
  const { title, overTitle } = incident;
  if (tells === 'open') {
    return plainText(title);
  }
  return plainText(tells === 'over' ? overTitle : `${title}, and is well again: ${overTitle}`);
}

function lastGood(
  { event, source, lastSuccessAt }: News['incident'],
  nowMs: number,
): readonly string[] {
  if (source === null || event === 'config') {
    return [];
  }
  return [`Last good backup: ${lastSuccessAt === null ? 'none' : instant(lastSuccessAt, nowMs)}`];
}

function prefix(namespace: string): string {
  return `[backupd ${namespace}]`;
}

function instant(at: string, nowMs: number): string {
  const agoMs = nowMs - Date.parse(at);
  return agoMs < 0 ? minutes(at) : `${minutes(at)} (${formatDuration(agoMs)} ago)`;
}

/** `2026-11-28 02:00 UTC` */
function minutes(at: string): string {
  return `${at.slice(0, 10)} ${at.slice(11, 16)} UTC`;
}
