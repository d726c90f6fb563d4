import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileKey } from '../../src/core/remote-keys.ts';
import { fight, settle } from './fight.ts';
import { checkLimit, type Measured } from './findings.ts';
import type { Contender, Course } from './rounds.ts';
import { LEAVE_PEAK, takePeakMb, time } from './stage.ts';
import { asOptions, destinationVariables, setStoreStage, type StoreStage } from './store.ts';
import { versionsOf } from './tools.ts';

/** The step of a restore at which the backup is here: whole by its SHA-256, and on the disk. */
const FETCHED = 'download-committed';
const DESTINATION = 'there';

/** A download that is verified, against a tool and a hash. */
export async function measureDownload(course: Course): Promise<Measured> {
  const { scales, say } = course;
  await using stage = await setStoreStage(scales.large);
  const bucket = await stage.server.createBucket();
  const variables = destinationVariables(DESTINATION, bucket);
  const { exitCode, stderr } = await stage.box.backupd(['upload'], { env: variables });
  if (exitCode !== 0) {
    throw new Error(`the upload failed: ${stderr}`);
  }
  const peak = await measurePeak(stage, variables);
  say(`download: peak memory: ${peak.toFixed(0)} MB`);
  const findings = await fight(
    contenders(stage, { bucket, variables }),
    { work: 'download, verified', limits: [0.9] },
    course,
  );
  const mib = stage.archiveBytes / 1024 / 1024;
  return {
    findings: [
      ...findings,
      checkLimit('download: peak memory', { parts: { command: peak }, unit: 'MB' }, 200),
    ],
    notes: [
      `- Download: the same archive of ${mib} MiB from the same store. backupd's is \`backupd restore --from\` on a host that has nothing, until the backup is there: whole by
  its SHA-256, and written to the disk. There the process is ended, since loading it into a database has no equal here; what comes before (what the bucket
  holds, the plan, the preflight at the server) is in the time. \`verify --from\` would not be the same: it writes nothing. ${await versionsOf(stage.tools, 'awscli')}.`,
    ],
  };
}

/** To its end, which is that random bytes are no dump: by then all of it was fetched. */
async function measurePeak(
  { box, byHand }: StoreStage,
  variables: Readonly<Record<string, string>>,
): Promise<number> {
  const dir = await emptyHost(byHand);
  const env = { ...variables, ...LEAVE_PEAK, BACKUPD_DIR: dir.inside };
  await box.backupd(['restore', 'db', '--from', DESTINATION], { env });
  const peak = await takePeakMb(box.dir);
  await rm(dir.path, { recursive: true });
  return peak;
}

async function emptyHost(
  byHand: string,
): Promise<{ readonly path: string; readonly inside: string }> {
  const path = await mkdtemp(join(byHand, 'host-'));
  return { path, inside: `/by-hand/${basename(path)}` };
}

function contenders(
  { box, tools, byHand, manifest }: StoreStage,
  {
    bucket,
    variables,
  }: { readonly bucket: string; readonly variables: Readonly<Record<string, string>> },
): readonly Contender[] {
  const key = fileKey(manifest, manifest.files[0]?.name ?? '');
  return [
    {
      name: 'backupd restore --from, until it is here',
      async run() {
        const dir = await emptyHost(byHand);
        const marker = '.killed-at';
        const options = asOptions({
          ...variables,
          BACKUPD_DIR: dir.inside,
          KILL_AT: FETCHED,
          KILL_MARKER: `${dir.inside}/${marker}`,
          NODE_OPTIONS: '--import /faults/kill-at.ts',
        });
        await settle();
        const seconds = await time(
          'docker exec "${@:3}" "$1" backupd restore db --from "$2" || [ $? = 137 ]',
          box.box.name,
          DESTINATION,
          ...options,
        );
        if ((await readFile(join(dir.path, marker), 'utf8')) !== FETCHED) {
          throw new Error('it ended before the backup was here');
        }
        await rm(dir.path, { recursive: true });
        return seconds;
      },
    },
    {
      name: 'aws s3 cp; sha256sum; sync',
      async run() {
        await settle();
        const script = `docker exec "$1" bash -c 'aws s3 cp "s3://$0" /by-hand/file; sha256sum /by-hand/file >/by-hand/file.sha256' "$2"`;
        const seconds = await time(script, tools.name, `${bucket}/${key}`);
        const file = await readFile(join(byHand, 'file.sha256'), 'utf8');
        if (!file.startsWith(manifest.files[0]?.sha256 ?? ' ')) {
          throw new Error('another file was downloaded');
        }
        await rm(join(byHand, 'file'));
        return seconds;
      },
    },
  ];
}
