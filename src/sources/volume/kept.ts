import { BackupdError } from '../../core/errors.ts';
import type { Previous } from '../../core/restorer.ts';
import type { VolumeTarget } from '../../core/target.ts';
import type { About, Exchanged } from './exchange.ts';
import type { Mounted } from './mounted.ts';
import { keptName } from './places.ts';
import { runScript } from './script.ts';

/** What an exchange leaves behind. */
export function previousOf(
  { run, source, name, at, isFilled }: About,
  { hasReplaced }: Exchanged,
  target: VolumeTarget,
): Previous {
  return {
    run,
    source,
    engine: 'volume',
    target,
    replacedAt: at,
    databases: [
      {
        name,
        currentId: isFilled ? name : null,
        kept: hasReplaced ? { id: run, name: keptName(name, run) } : null,
      },
    ],
  };
}

/** What the volume itself says of what restores of a source kept in it, newest first. */
export async function readKept(
  mounted: Mounted,
  source: string,
  signal: AbortSignal,
): Promise<readonly Previous[]> {
  const said = await runScript(mounted, 'kept', [], signal);
  return said
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => readLine(line, mounted.target))
    .filter((previous) => previous.source === source)
    .toSorted((one, other) => other.replacedAt.localeCompare(one.replacedAt));
}

function readLine(line: string, target: VolumeTarget): Previous {
  const blank = line.indexOf(' ');
  try {
    const about = JSON.parse(line.slice(blank + 1)) as About;
    return previousOf(about, { hasReplaced: line.startsWith('replaced ') }, target);
  } catch (error) {
    throw new BackupdError('restore-failed', 'a record beside what a restore kept is damaged', {
      cause: error,
      hint: 'It is the file "about" in one of the directories .backupd-* at the top of the volume.',
    });
  }
}
