import { parseArgs } from 'node:util';
import { measureCopies } from './copies.ts';
import { measureCatalog } from './catalog.ts';
import { measureDownload } from './download.ts';
import { measureEncrypted } from './encrypted.ts';
import { measureEngine } from './engine.ts';
import { findingsTable, type Measured } from './findings.ts';
import { MARIADB } from './mariadb.ts';
import { MONGODB } from './mongodb.ts';
import { keepResult, writePage } from './page.ts';
import { measurePostgres } from './postgres.ts';
import type { Course } from './rounds.ts';
import { measureSwaps } from './swap-stall.ts';
import { measureUpload } from './upload.ts';
import { VOLUME } from './volume.ts';

/** In the order of the page. Each makes what it needs, and can be measured alone. */
const SUBJECTS: Readonly<Record<string, (course: Course) => Promise<Measured>>> = {
  postgres: measurePostgres,
  mariadb: async (course) => measureEngine(MARIADB, course),
  mongodb: async (course) => measureEngine(MONGODB, course),
  volume: async (course) => measureEngine(VOLUME, course),
  swap: measureSwaps,
  encrypted: measureEncrypted,
  upload: measureUpload,
  download: measureDownload,
  catalog: measureCatalog,
  copies: measureCopies,
};

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: Object.keys(SUBJECTS).join(',') },
  },
});
const course: Course = {
  scales: values.quick ? { small: 0.01, large: 0.1 } : { small: 0.1, large: 1 },
  rounds: Number(values.rounds),
  say: console.log,
};
const findings: Measured['findings'][number][] = [];
for (const name of values.only.split(',')) {
  const measure = SUBJECTS[name];
  if (measure === undefined) {
    throw new Error(`there is no subject "${name}": ${Object.keys(SUBJECTS).join(', ')}`);
  }
  const measured = await measure(course);
  findings.push(...measured.findings);
  if (!values.quick) {
    // At once: what comes after it may fail.
    await keepResult(name, measured, course.rounds);
  }
}
console.log(`\n${findingsTable(findings)}`);
if (!values.quick) {
  const missing = await writePage(Object.keys(SUBJECTS));
  const without = missing.length === 0 ? '' : `, without ${missing.join(', ')}: never measured`;
  console.log(`\ndocs/benchmarks.md is written${without}`);
}
const missed = findings.filter(({ holds }) => !holds);
console.log(`\nbench: ${findings.length - missed.length} hold, ${missed.length} missed`);
process.exitCode = missed.length === 0 ? 0 : 1;
