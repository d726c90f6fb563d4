import { ratioOf, spreadOf, type Samples, type Spread } from './rounds.ts';

/** One line of the table. */
export interface Finding {
  readonly work: string;
  readonly measured: string;
  readonly peer: string;
  /** What is judged. */
  readonly value: string;
  readonly atMost: string;
  readonly holds: boolean;
}

/** What measuring a subject gave: lines of the table, and of the list below it. */
export interface Measured {
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

/** How long ours took in relation to a peer's. */
export function compareTimes(
  work: string,
  { ours, peer }: { readonly ours: Samples; readonly peer: Samples },
  atMost: number,
): Finding {
  const ratio = ratioOf(ours, peer);
  return {
    work,
    measured: `${showSpread(spreadOf(ours.seconds), 1)} s`,
    peer: `${peer.name}: ${showSpread(spreadOf(peer.seconds), 1)} s`,
    value: showSpread(ratio, 2),
    atMost: atMost.toFixed(2),
    holds: ratio.median <= atMost,
  };
}

/** Something that has no peer; the largest value counts. */
export function checkLimit(
  work: string,
  { parts, unit }: { readonly parts: Readonly<Record<string, number>>; readonly unit: string },
  atMost: number,
): Finding {
  const most = Math.max(...Object.values(parts));
  const named = Object.entries(parts).map(([name, value]) => `${name} ${value.toFixed(0)}`);
  return {
    work,
    measured: `${named.join(', ')} ${unit}`,
    peer: '-',
    value: `${most.toFixed(0)} ${unit}`,
    atMost: `${atMost} ${unit}`,
    holds: most <= atMost,
  };
}

const HEAD = ['work', 'backupd', 'peer', 'judged', 'at most', ''] as const;

/** A table in Markdown, its columns aligned. */
export function findingsTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ work, measured, peer, value, atMost, holds }) => [
    work,
    measured,
    peer.replaceAll('|', String.raw`\|`),
    value,
    atMost,
    holds ? 'holds' : 'missed',
  ]);
  const widths = HEAD.map((head, column) =>
    Math.max(3, head.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  function line(cells: readonly string[]): string {
    return `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  }
  return [line(HEAD), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** The median, and in brackets the least and the most. */
export function showSpread({ median, least, most }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
}
