import type { TestContainer } from '../support/test-container.ts';
import type { Target } from './targets.ts';
import { wrongTicks, type Ticks } from './ticks.ts';

interface Listed {
  readonly id: string;
  readonly source: string;
  readonly startedAt: string;
  readonly finishedAt: string;
}

export interface Proof {
  readonly listed: number;
  readonly copies: number;
  readonly restored: number;
  /** What is not as it should be. */
  readonly wrong: readonly string[];
}

export interface ProofOptions {
  readonly box: TestContainer;
  readonly targets: readonly Target[];
  readonly ticks: Ticks;
  /** How many of the newest of each source are restored. */
  readonly most: number;
  readonly say: (line: string) => void;
}

/** Reads every backup that is listed to its end, here and in the bucket, restores them, and compares them with what was written. */
export async function proveBackups(options: ProofOptions): Promise<Proof> {
  const { box, targets, say } = options;
  const listed = await json<readonly Listed[]>(box, ['list']);
  const local = await verifyAll(box, []);
  const copies = await verifyAll(box, ['--from', 's3']);
  const unread = listed.length - local.ids.size;
  say(`read to the end: ${local.ids.size} here, ${copies.ids.size} in the bucket`);
  const proofs = await Promise.all(
    targets.map(async (target) => restoreAll(target, { ...options, listed })),
  );
  return {
    listed: listed.length,
    copies: copies.ids.size,
    restored: proofs.reduce((sum, { restored }) => sum + restored, 0),
    wrong: [
      ...local.wrong,
      ...copies.wrong,
      ...(unread === 0 ? [] : [`${unread} backups that are listed were not read`]),
      ...proofs.flatMap(({ wrong }) => wrong),
    ],
  };
}

async function verifyAll(
  box: TestContainer,
  more: readonly string[],
): Promise<{ readonly ids: ReadonlySet<string>; readonly wrong: readonly string[] }> {
  const { stdout, stderr } = await box.exec(['backupd', 'verify', '--json', ...more]);
  const verdicts = JSON.parse(stdout === '' ? stderr : stdout) as readonly {
    readonly id: string;
    readonly source: string;
    readonly ok: boolean;
    readonly depth: string;
  }[];
  if (!Array.isArray(verdicts)) {
    return { ids: new Set(), wrong: [`verify ${more.join(' ')}: ${stdout}${stderr}`] };
  }
  const wrong = verdicts.filter(({ ok, depth }) => !ok || depth !== 'content');
  return {
    ids: new Set(verdicts.map(({ source, id }) => `${source}/${id}`)),
    wrong: wrong.map((verdict) => `verify ${more.join(' ')}: ${JSON.stringify(verdict)}`),
  };
}

async function restoreAll(
  target: Target,
  { box, ticks, most, listed, say }: ProofOptions & { readonly listed: readonly Listed[] },
): Promise<Pick<Proof, 'restored' | 'wrong'>> {
  const wrong: string[] = [];
  let restored = 0;
  for (const source of target.sources) {
    const backups = listed.filter((backup) => backup.source === source.name).slice(0, most);
    if (backups.length === 0) {
      wrong.push(`${source.name} has no backup`);
    }
    for (const backup of backups) {
      const name = `proof_${source.name}`;
      const isDatabase = !source.url.startsWith('volume:');
      const beside = ['--as', name, ...(isDatabase ? ['--database', source.name] : [])];
      const restore = ['backupd', 'restore', source.name, '--at', backup.id, ...beside, '--json'];
      const { exitCode, stdout, stderr } = await box.exec(restore);
      const why =
        exitCode === 0
          ? wrongTicks(ticks.get(target) ?? [], await source.readRestored(name), backup)
          : `restore ended with ${exitCode}: ${stdout}${stderr}`;
      if (why === null) {
        restored += 1;
      } else {
        wrong.push(`${source.name} ${backup.id}: ${why}`);
      }
    }
  }
  say(`${target.sources[0]?.name}...: ${restored} restored, ${wrong.length} wrong`);
  return { restored, wrong };
}

async function json<T>(box: TestContainer, args: readonly string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await box.exec(['backupd', ...args, '--json']);
  if (exitCode !== 0) {
    throw new Error(`backupd ${args.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`);
  }
  return JSON.parse(stdout) as T;
}
