import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { hasErrorCode } from '../../src/core/system-error.ts';
import { backupdImage } from '../support/backupd.ts';
import { docker } from '../support/run-process.ts';
import { findingsTable, type Measured } from './findings.ts';

const PAGE = new URL('../../docs/benchmarks.md', import.meta.url);
/** A file of JSON for each subject: the page is written from all of them, however few were measured this time. */
const RESULTS = new URL('results/', import.meta.url);

/** What was measured of a subject, and when, where and how. */
interface Result extends Measured {
  readonly measuredOn: string;
  readonly rounds: number;
  readonly machine: string;
  /** Of the machine at the end: with its own of about 2, what is above that was done by others. */
  readonly load: number;
}

/** Keeps what was measured of a subject, in the place of what was measured before. */
export async function keepResult(
  subject: string,
  { findings, notes }: Measured,
  rounds: number,
): Promise<void> {
  const measuredOn = new Date().toISOString().slice(0, 10);
  const result: Result = {
    measuredOn,
    rounds,
    machine: await describeMachine(),
    load: Math.round(loadavg()[0] ?? 0),
    findings,
    notes,
  };
  await mkdir(RESULTS, { recursive: true });
  await writeFile(fileOf(subject), `${JSON.stringify(result, null, 2)}\n`);
}

/** Writes the page from what is kept of these subjects, in this order. @returns those that were never measured */
export async function writePage(subjects: readonly string[]): Promise<readonly string[]> {
  const results = new Map<string, Result>();
  for (const subject of subjects) {
    const result = await readResult(subject);
    if (result !== null) {
      results.set(subject, result);
    }
  }
  await writeFile(PAGE, pageOf(results));
  return subjects.filter((subject) => !results.has(subject));
}

function fileOf(subject: string): URL {
  return new URL(`${subject}.json`, RESULTS);
}

/** Null for one that was never measured. */
async function readResult(subject: string): Promise<Result | null> {
  try {
    return JSON.parse(await readFile(fileOf(subject), 'utf8')) as Result;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return null;
    }
    throw error;
  }
}

async function describeMachine(): Promise<string> {
  const engine = await docker('version', '--format', '{{.Server.Version}}');
  const image = await backupdImage();
  const node = await docker('run', '--rm', '--entrypoint', 'node', image, '--version');
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 1e9);
  return `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${memory} GB of memory, Linux ${release().split('-')[0]}, Docker Engine ${engine}, Node ${node}`;
}

function pageOf(results: ReadonlyMap<string, Result>): string {
  const all = [...results.values()];
  const machines = Map.groupBy(results, ([, { machine }]) => machine);
  return `# Benchmarks

<!-- Written by \`npm run bench\`; do not edit. -->

Measured with the image as it is built and the options as they are shipped: compression, hashes, the check of
the format, exact facts, comparison, everything on. Ratios are what matters; seconds are those of the machine.

${findingsTable(all.flatMap(({ findings }) => findings))}

- The times: whole commands as they are typed on the host, \`docker exec\` included, each with a \`sync\` inside what is measured. In each round
  all contenders, in turns forwards and backwards; medians, in brackets the least and the most. A ratio is that of the medians, its
  brackets those of the single rounds.
${all.flatMap(({ notes }) => notes).join('\n')}
${[...machines].map(([machine, of]) => `- The machine: ${machine}. Measured ${of.map(([subject, { measuredOn, rounds, load }]) => `${subject} ${measuredOn} in ${rounds} rounds at a load of ${load}`).join(', ')}.`).join('\n')}

\`npm run bench\` measures again and writes this page; it ends with 1 where something is missed. It takes an hour: \`npm run bench -- --only ${[...results.keys()].slice(0, 2).join(',')}\`
measures these alone, and leaves on the page what was measured of the others before. \`npm run bench -- --quick\` takes a tenth of the data and writes nothing.
`;
}
