import { bindScratch, helperImageOf, type BindParts } from './bind-sources.ts';
import { CannotDrill } from './core/drill.ts';
import { BackupdError } from './core/errors.ts';
import type { Scratch, ScratchRequest } from './core/scratch.ts';
import { reach } from './core/steps.ts';
import { runCommand } from './docker/command.ts';
import { startHelper } from './docker/helper.ts';
import { SCRATCH_LABEL } from './docker/scratch-spec.ts';
import { createVolume, inspectVolume } from './docker/volumes.ts';
import { newRun } from './sources/runs.ts';

interface Opening {
  readonly request: ScratchRequest;
  readonly owner: string;
  readonly name: string;
  /** Marks what is run for it. */
  readonly runPrefix: string;
}

/** A check may take long; what it runs in is removed with it. */
const CHECK_SECONDS = 3600;

/** A volume that a backup of a volume, or of a directory, is restored into. */
export async function openVolumeScratch(
  parts: BindParts,
  { request, owner, name, runPrefix }: Opening,
  signal: AbortSignal,
): Promise<Scratch> {
  const { docker } = parts;
  const labels = { [SCRATCH_LABEL]: owner };
  await createVolume(docker, name, { driver: 'local', options: {}, labels }, signal);
  reach('scratch-created');
  const { manifest } = request;
  const spec = { by: 'volume', volume: name, labelled: null } as const;
  const { source, target } = await bindScratch(
    parts,
    { manifest, target: spec, runPrefix },
    signal,
  );
  reach('scratch-started');
  return {
    source,
    target,
    notes: [],
    async explain(limit) {
      return (await inspectVolume(docker, name, limit)) === null
        ? new CannotDrill('target-unavailable', 'the scratch volume was removed while it was used')
        : null;
    },
    async ask(check, limit) {
      if (check.kind === 'statement') {
        throw new BackupdError('verification-failed', 'a volume answers no statement', {
          hint: 'backupd.drill.check of a volume is "exec:" and a command; the volume is at /volume.',
        });
      }
      const image = await helperImageOf(parts, limit);
      const asked = { image, owner: runPrefix, volume: name, access: 'read' } as const;
      await using helper = await startHelper(
        docker,
        { ...asked, lifeSeconds: CHECK_SECONDS },
        limit,
      );
      const run = newRun(runPrefix);
      const what = { command: check.command, name: 'backupd.drill.check', run };
      const { exitCode, output } = await runCommand(docker, helper, what, limit);
      return { ok: exitCode === 0, found: output };
    },
  };
}
