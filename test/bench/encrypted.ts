import { newAgeKey, type AgeKey } from '../support/keys.ts';
import type { TestContainer } from '../support/test-container.ts';
import { measureAge } from './age.ts';
import { fight } from './fight.ts';
import { checkLimit, type Measured } from './findings.ts';
import type { Contender, Course } from './rounds.ts';
import {
  commandPeakMb,
  describeShop,
  setStage,
  settle,
  time,
  type Shop,
  type Stage,
} from './stage.ts';
import { startTools, versionsOf } from './tools.ts';

const PEERS = [
  {
    name: 'pg_dump | zstd -3 | age | tee >(sha256sum) > file; sync',
    script:
      'docker exec "$0" pg_dump -U postgres large | zstd -q -3 | age -r "$1" | tee >(sha256sum >/by-hand/dump.sha256) >/by-hand/dump',
    atMost: 0.7,
  },
  {
    name: 'pg_dump | restic backup --stdin; sync',
    script: 'docker exec "$0" pg_dump -U postgres large | restic backup --stdin',
    atMost: 0.6,
  },
] as const;

const REPOSITORY = '/by-hand/restic';

/** A backup that is encrypted, against what is done without backupd. */
export async function measureEncrypted(course: Course): Promise<Measured> {
  const { scales, say } = course;
  const large: Shop = { name: 'large', scale: scales.large };
  const key = await newAgeKey();
  const speed = await measureAge(course, key);
  say(`encrypted backup: making ${large.scale} GB of rows`);
  await using stage = await setStage([large]);
  await using tools = await startTools({
    volumes: ['/var/run/docker.sock:/var/run/docker.sock', `${stage.byHand}:/by-hand`],
    env: { RESTIC_REPOSITORY: REPOSITORY, RESTIC_PASSWORD: 'bench' },
  });
  const { daemon, backups } = stage;
  const env = { BACKUPD_AGE_RECIPIENTS: key.recipient };
  const peak = await commandPeakMb(
    {
      daemon: {
        cli: (args, { env: more = {} } = {}) => daemon.cli(args, { env: { ...env, ...more } }),
      },
      backups,
    },
    ['backup', large.name],
  );
  say(`encrypted backup: peak memory: ${peak.toFixed(0)} MB`);
  const findings = await fight(
    contenders(stage, { tools, key }),
    { work: 'encrypted backup', limits: PEERS.map(({ atMost }) => atMost) },
    course,
  );
  return {
    findings: [
      ...findings,
      ...speed.findings,
      checkLimit('encrypted backup: peak memory', { parts: { command: peak }, unit: 'MB' }, 200),
    ],
    notes: [
      `- Encrypted backup: ${await describeShop(stage.server, large)}, for one recipient of age. The tools of the peers run in a container beside
  the server (${await versionsOf(tools, 'age', 'restic', 'zstd')}); restic's repository is new each time, so that it finds nothing that it has already, and made before
  what is measured.`,
      ...speed.notes,
    ],
  };
}

function contenders(
  stage: Stage,
  { tools, key }: { readonly tools: TestContainer; readonly key: AgeKey },
): readonly Contender[] {
  const { server, daemon } = stage;
  return [
    {
      name: 'backupd backup',
      async run() {
        await settle(stage);
        return time(
          'docker exec --env BACKUPD_AGE_RECIPIENTS="$2" "$1" backupd backup large',
          daemon.name,
          key.recipient,
        );
      },
    },
    ...PEERS.map(({ name, script }) => ({
      name,
      async run() {
        await time('docker exec "$1" restic init', tools.name);
        await settle(stage);
        const seconds = await time(
          'docker exec "$1" bash -euo pipefail -c "$2" "${@:3}"',
          tools.name,
          script,
          server.name,
          key.recipient,
        );
        // The folder itself is mounted.
        await time('docker exec "$1" find /by-hand -mindepth 1 -delete', tools.name);
        return seconds;
      },
    })),
  ];
}
