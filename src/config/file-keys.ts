import { globalSchema, type GlobalKey } from './schema.ts';

/** The section of the file that has the options of alarms. */
export const NOTIFY = 'notify';

/** Options that have a section of their own, or are a variable only. */
const ELSEWHERE: ReadonlySet<string> = new Set(['sources', 'destinations', 'config']);

/** Every option of backupd as a whole by where it is in the file: `keep`, `notify.slackUrl`. */
export const FILE_KEYS: ReadonlyMap<string, GlobalKey> = new Map(
  (Object.keys(globalSchema) as GlobalKey[])
    .filter((key) => !ELSEWHERE.has(key))
    .map((key) => [fileKeyOf(key), key]),
);

/** Where an option is in the file. */
export function fileKeyOf(key: GlobalKey): string {
  const [, first, rest = ''] = /^notify([A-Z])(.*)$/.exec(key) ?? [];
  return first === undefined ? key : `${NOTIFY}.${first.toLowerCase()}${rest}`;
}
