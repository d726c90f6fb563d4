import type { Daemon } from './backupd.ts';

/** What a scrape said: the value of a series by its name and some of its labels; null where there is none such. */
export type Scrape = (name: string, labels?: Readonly<Record<string, string>>) => number | null;

/** Scrapes `/metrics`. @throws Error where that is not answered */
export async function scrape(daemon: Pick<Daemon, 'get'>): Promise<Scrape> {
  const answer = await daemon.get('/metrics');
  const text = await answer.text();
  if (!answer.ok) {
    throw new Error(`/metrics answered ${answer.status}: ${text}`);
  }
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return (name, labels = {}) => {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    const line = series.find(
      (row) =>
        (row.startsWith(`${name}{`) || row.startsWith(`${name} `)) &&
        wanted.every((label) => row.includes(label)),
    );
    const value = line?.slice(line.lastIndexOf(' ') + 1);
    return value === undefined ? null : Number(value.replace('Inf', 'Infinity'));
  };
}
