import type { Contender, Course } from './rounds.ts';
import { fight, settle } from './fight.ts';
import { checkLimit, type Measured } from './findings.ts';
import { commandPeakMb, time } from './stage.ts';
import {
  asOptions,
  destinationVariables,
  emptyBucket,
  setStoreStage,
  type StoreStage,
} from './store.ts';
import { versionsOf } from './tools.ts';

const PEERS = [
  {
    name: '@aws-sdk/lib-storage',
    script: 'docker exec "$1" node /bench/lib-storage.ts "$4" shop.dump "$3"',
    atMost: 0.5,
  },
  {
    name: 'aws s3 cp',
    script: 'docker exec "$2" aws s3 cp "$3" "s3://$4/shop.dump"',
    atMost: 0.7,
  },
  {
    name: 'rclone copyto',
    script: 'docker exec "$2" rclone copyto "$3" ":s3:$4/shop.dump"',
    atMost: 0.9,
  },
] as const;

/** An upload to a store on the loopback, against tools by their defaults. */
export async function measureUpload(course: Course): Promise<Measured> {
  const { scales, say } = course;
  await using stage = await setStoreStage(scales.large);
  const peak = await measurePeak(stage);
  say(`upload: peak memory: ${peak.toFixed(0)} MB`);
  const limits = PEERS.map(({ atMost }) => atMost);
  const findings = await fight(contenders(stage), { work: 'upload', limits }, course);
  const mib = stage.archiveBytes / 1024 / 1024;
  return {
    findings: [
      ...findings,
      checkLimit('upload: peak memory', { parts: { command: peak }, unit: 'MB' }, 200),
    ],
    notes: [
      `- Upload: one archive of ${mib} MiB of random bytes to MinIO, which keeps what it has in memory; all of them in containers that share its
  loopback. backupd's is \`backupd upload\`: it finds what is pending, looks whose bucket it is, hashes all that it sends, puts archive and manifest, and writes
  down that they are there. Of the others only the file is sent. \`@aws-sdk/lib-storage\` is run by the Node of backupd's image; ${await versionsOf(stage.tools, 'awscli', 'rclone')}.`,
    ],
  };
}

async function measurePeak({ server, box }: StoreStage): Promise<number> {
  const bucket = await server.createBucket();
  const variables = destinationVariables('peak', bucket);
  const peak = await commandPeakMb(
    {
      daemon: {
        cli: (args, { env = {} } = {}) => box.backupd(args, { env: { ...env, ...variables } }),
      },
      backups: box.dir,
    },
    ['upload'],
  );
  await emptyBucket(server, bucket);
  return peak;
}

function contenders(stage: StoreStage): readonly Contender[] {
  const { server, box, tools, archiveBytes, archivePath } = stage;
  let runs = 0;

  /** Into a bucket of its own, in which all of it is found. */
  async function intoBucket(upload: (bucket: string) => Promise<number>): Promise<number> {
    const bucket = await server.createBucket();
    await settle();
    const seconds = await upload(bucket);
    const bytes = await emptyBucket(server, bucket);
    if (bytes < archiveBytes) {
      throw new Error(`${bytes} bytes were uploaded, and not ${archiveBytes}`);
    }
    return seconds;
  }

  return [
    {
      name: 'backupd upload',
      run: () =>
        intoBucket(async (bucket) => {
          // A destination that was never seen before: all is pending.
          runs += 1;
          const variables = asOptions(destinationVariables(`round${runs}`, bucket));
          return time('docker exec "${@:2}" "$1" backupd upload', box.box.name, ...variables);
        }),
    },
    ...PEERS.map(({ name, script }) => ({
      name,
      run: () =>
        intoBucket((bucket) => time(script, box.box.name, tools.name, archivePath, bucket)),
    })),
  ];
}
