import { randomInt } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../support/documents.ts';
import { docker } from '../support/run-process.ts';
import { waitFor } from '../support/wait-for.ts';
import { chance } from './chance.ts';
import { keepBreaking, type Happened } from './faults.ts';
import { findFalseComfort, findGaps, findMiscounts, readMemory } from './judge.ts';
import { proveBackups, type Proof } from './prove.ts';
import { setSoakStage, type SoakStage } from './stage.ts';
import type { Target } from './targets.ts';
import { keepTicking, type Tick } from './ticks.ts';
import { keepWatching, type Sample, type Watched } from './watch.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(randomInt(1_000_000)) },
    /** Minutes from one run of a source to its next one, more where the machine is slow; a divisor of 60. */
    every: { type: 'string', default: '1' },
    sources: { type: 'string', default: '30' },
    /** How many of the newest backups of each source are restored in the end. */
    restore: { type: 'string', default: 'all' },
  },
});
const lastsMs = Number(values.minutes) * 60_000;
const everySeconds = Number(values.every) * 60;
/** The part of the time after which the daemon is left alone. */
const SPARED_FROM = 0.55;
const RECOVERY_MS = 600_000;
/** As in the benchmarks: what the garbage collector leaves to chance; and what a backup may take, with an upload beside it. */
const FLAT_MB = 16;
const MOST_MB = 220;

const folder = join(ROOT, '.cache/soak');
await mkdir(folder, { recursive: true });
const path = join(
  folder,
  `${new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14)}-${values.seed}.log`,
);
const log = createWriteStream(path);

function say(line: string): void {
  const stamped = `${new Date().toISOString()} ${line}`;
  log.write(`${stamped}\n`);
  console.log(stamped);
}

say(`soak: ${values.minutes} minutes, seed ${values.seed}, log in ${relative(ROOT, path)}`);
say(
  `again: npm run soak -- --minutes ${values.minutes} --seed ${values.seed} --sources ${values.sources} --every ${values.every}`,
);
const interrupted = Promise.withResolvers<never>();
process.once('SIGINT', () => {
  interrupted.reject(new Error('interrupted'));
});
await using stage = await setSoakStage({ sources: Number(values.sources), everySeconds });
const ticks = new Map<Target, Tick[]>(stage.targets.map((target) => [target, []]));
const watched: Watched = { samples: [], seen: new Set() };
const happened = await Promise.race([live(stage), interrupted.promise]);
const proof = await prove(stage);
await keepDaemonLog(stage);
const wrong = [...judge(watched, happened), ...describeProof(proof)];
for (const line of wrong) {
  say(`wrong: ${line}`);
}
say(wrong.length === 0 ? 'soak: all holds' : `soak: ${wrong.length} wrong`);
log.end();
process.exitCode = wrong.length === 0 ? 0 : 1;

/** Everything at once, until the time is over and all is well again. */
async function live(stage: SoakStage): Promise<readonly Happened[]> {
  const ending = new AbortController();
  const beside = [
    keepTicking(stage.targets, ticks, ending.signal),
    keepWatching(stage, watched, ending.signal),
  ];
  await waitFor('first backups', () => isWell(watched.samples.at(-1)), RECOVERY_MS);
  say('every source has a backup: from now on things break');
  const beganAtMs = Date.now();
  const happened = await keepBreaking(stage, {
    chance: chance(Number(values.seed)),
    untilMs: beganAtMs + lastsMs,
    spareDaemonFromMs: beganAtMs + lastsMs * SPARED_FROM,
    say,
  });
  say(`${happened.length} faults; now all is left to mend itself`);
  await waitFor('end of all trouble', () => isWell(watched.samples.at(-1)), RECOVERY_MS);
  ending.abort();
  await Promise.all(beside);
  return happened;
}

/** Whether every source has a good backup that is young enough. */
function isWell(sample: Sample | undefined): boolean {
  const said = [...(sample?.said?.values() ?? [])];
  return (
    said.length === stage.targets.flatMap(({ sources }) => sources).length &&
    said.every(({ ageSeconds, maxAgeSeconds }) => ageSeconds <= maxAgeSeconds)
  );
}

async function prove(stage: SoakStage): Promise<Proof> {
  await docker('stop', stage.daemon.name);
  const box = await stage.openBox();
  const { exitCode, stdout, stderr } = await box.exec(['backupd', 'upload', '--wait', '1m']);
  say(`last upload: ${exitCode}`);
  if (exitCode !== 0) {
    throw new Error(`the last upload ended with ${exitCode}: ${stdout}${stderr}`);
  }
  const most = values.restore === 'all' ? Infinity : Number(values.restore);
  return proveBackups({ box, targets: stage.targets, ticks, most, say });
}

async function keepDaemonLog(stage: SoakStage): Promise<void> {
  log.write(`\n--- the daemon's log\n${await stage.daemon.logs()}\n---\n`);
}

function judge({ samples, seen }: Watched, happened: readonly Happened[]): readonly string[] {
  const gaps = findGaps(samples, everySeconds * 1500);
  const silent = gaps.filter(({ told }) => told.length === 0);
  const counts = Object.entries(Object.groupBy(happened, ({ kind }) => kind));
  say(`faults: ${counts.map(([kind, all]) => `${kind} ${all.length}`).join(', ')}`);
  say(`backups that were made: ${seen.size}; scrapes: ${samples.length}`);
  say(`gaps: ${gaps.length}, of which nobody was told: ${silent.length}`);
  const memory = readMemory(samples);
  const { mostMb, earlyMb, lateMb } = memory;
  say(
    `memory in MB: most ${mostMb.toFixed(0)}; in the longest life (${memory.samples} scrapes) early ${earlyMb.toFixed(0)}, late ${lateMb.toFixed(0)}`,
  );
  const last = samples.findLast(({ said }) => said !== null);
  return [
    ...silent.map((gap) => `a gap that nobody was told of: ${JSON.stringify(gap)}`),
    ...findFalseComfort(samples).map((line) => `false comfort: ${line}`),
    ...(last === undefined ? ['it never answered'] : findMiscounts(last, seen)),
    ...(lateMb - earlyMb > FLAT_MB ? ['its memory grew'] : []),
    ...(mostMb > MOST_MB ? [`its memory reached ${mostMb.toFixed(0)} MB`] : []),
  ];
}

function describeProof({ listed, copies, restored, wrong }: Proof): readonly string[] {
  say(
    `backups that are listed: ${listed}, read to the end; ${copies} copies, too; restored and compared: ${restored}`,
  );
  return wrong;
}
