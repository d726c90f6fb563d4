import type Docker from 'dockerode';
import type { Manifest } from '../core/manifest.ts';
import { BackupdError } from '../core/errors.ts';
import { reasonOf } from '../docker/exec-failure.ts';
import type { ExecRequest } from '../docker/exec.ts';
import type { ScratchServer } from '../docker/scratch-spec.ts';
import { runExec } from '../docker/run-exec.ts';

/** A scratch container as its engine reaches it. */
export interface ScratchPlace extends Pick<ExecRequest, 'containerId' | 'container' | 'run'> {
  readonly docker: Docker;
  /** Random, and known to this container alone. */
  readonly password: string;
}

/** How an engine is started for a drill, and asked. */
export interface ScratchRecipe extends ScratchServer {
  /** What new data is made with. */
  variables(
    manifest: Manifest,
    password: string,
    model: ReadonlyMap<string, string>,
  ): Readonly<Record<string, string>>;
  /** Whether a query over TCP is answered: while data is made new, only the socket is. */
  answers(place: ScratchPlace, manifest: Manifest, signal: AbortSignal): Promise<boolean>;
  /** What a statement prints. @throws BackupdError `verification-failed` where it fails */
  ask(
    place: ScratchPlace,
    query: {
      readonly manifest: Manifest;
      readonly database: string | null;
      readonly statement: string;
    },
    signal: AbortSignal,
  ): Promise<string>;
}

/** Runs a client to its end. @throws BackupdError `verification-failed` where it fails, with what it said */
export async function askClient(
  { docker }: Pick<ScratchPlace, 'docker'>,
  request: ExecRequest,
  signal: AbortSignal,
): Promise<string> {
  const result = await runExec(docker, request, signal);
  if (result.exitCode !== 0) {
    throw new BackupdError(
      'verification-failed',
      `the statement failed in the scratch container: ${reasonOf(result, result.stderr)}`,
      { hint: 'Try it in the database itself. backupd.drill.check is one statement.' },
    );
  }
  return result.stdout;
}

/** The first value of the first row that a client printed, columns divided by tabs. */
export function firstValue(printed: string): string {
  return printed.split('\n', 1)[0]?.split('\t', 1)[0] ?? '';
}
