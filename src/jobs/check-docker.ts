import { formatDuration } from '../core/duration.ts';
import type { CallGroup, TriedCall } from '../core/inspection.ts';
import type { Job } from '../core/job.ts';
import type { ContainerTarget } from '../core/target.ts';
import { failed, good, note, type Check } from './check-result.ts';
import type { App, Discovery } from './context.ts';

/** Whether Docker answers, and what stands before it lets pass. @param silenceMs how long a connection is to be quiet */
export async function checkDocker(
  app: App,
  discovery: Discovery,
  silenceMs: number,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const engine = await checkEngine(app, signal);
  if (!engine.ok) {
    return [engine];
  }
  return [
    engine,
    ...(await checkCalls(app, discovery, signal)),
    ...(await checkStream(app, discovery, silenceMs, signal)),
  ];
}

async function checkEngine(app: App, signal: AbortSignal): Promise<Check> {
  try {
    const { engineVersion } = await app.ping(signal);
    return good('docker', 'engine', `Docker Engine ${engineVersion} answers`);
  } catch (error) {
    return failed('docker', 'engine', error);
  }
}

/** What each group of calls is for. */
const PURPOSES: Readonly<Record<CallGroup, string>> = {
  backup: 'backups and restores',
  halt: 'stopping and pausing containers',
  scratch: 'volumes as sources and restore drills',
};

/** What docker-socket-proxy calls what they need. */
const PROXY_SETTINGS: Readonly<Record<CallGroup, string>> = {
  backup: 'CONTAINERS=1 EXEC=1 POST=1 IMAGES=1',
  halt: 'CONTAINERS=1 POST=1 ALLOW_START=1 ALLOW_STOP=1',
  scratch: 'CONTAINERS=1 VOLUMES=1 POST=1',
};

async function checkCalls(
  { inspection }: App,
  { sources }: Discovery,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  try {
    const tried = await inspection.tryCalls(signal);
    const jobs = sources.map(({ job }) => job);
    const checks = (['backup', 'halt', 'scratch'] as const).flatMap((group) =>
      checkGroup(
        group,
        tried.filter((call) => call.group === group && call.isForbidden),
        jobs,
      ),
    );
    return checks.length === 0
      ? [good('docker', 'calls', `${inspection.endpoint} allows every call that backupd makes`)]
      : checks;
  } catch (error) {
    signal.throwIfAborted();
    return [failed('docker', 'calls', error)];
  }
}

/** Nothing where all of the group is allowed. */
function checkGroup(
  group: CallGroup,
  forbidden: readonly TriedCall[],
  jobs: readonly Job[],
): readonly Check[] {
  if (forbidden.length === 0) {
    return [];
  }
  const needed = forbidden.filter(({ isOptional }) => !isOptional);
  const names = forbidden.map(({ name }) => name).join(', ');
  const hint = `Allow them in the proxy before the Docker socket: docs/least-privilege.md has rules to copy; docker-socket-proxy calls them ${PROXY_SETTINGS[group]}.`;
  const isFailure = needed.length > 0 && isInUse(group, jobs);
  const why = isFailure
    ? `needed for ${PURPOSES[group]}`
    : needed.length > 0
      ? `nothing that is configured needs them; they are for ${PURPOSES[group]}`
      : 'backupd does without';
  const message = `forbidden: ${names} (${why})`;
  const check = { name: 'docker', subject: 'calls', ok: !isFailure, message } as const;
  return [isFailure ? { ...check, hint } : note('docker', 'calls', message, hint)];
}

function isInUse(group: CallGroup, jobs: readonly Job[]): boolean {
  return {
    backup: true,
    halt: jobs.some(({ stop, pause }) => stop.length + pause.length > 0),
    scratch: jobs.some(({ target, drill }) => target.by === 'volume' || drill.patterns.length > 0),
  }[group];
}

/** Through the first container that runs; what it is does not matter. */
async function checkStream(
  { inspection }: App,
  { sources }: Discovery,
  silenceMs: number,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const target = await findContainer(sources, signal);
  if (target === null) {
    return [];
  }
  try {
    await inspection.tryStream(target, silenceMs, signal);
  } catch (error) {
    signal.throwIfAborted();
    return [failed('docker', 'stream', error)];
  }
  const isQuiet = silenceMs > 0;
  const message = `what is sent to a process in a container comes back${isQuiet ? `, also after ${formatDuration(silenceMs)} of silence` : ''}`;
  const isSocket = inspection.endpoint.startsWith('/');
  return isQuiet || isSocket
    ? [good('docker', 'stream', message)]
    : [
        note(
          'docker',
          'stream',
          message,
          'Whether a connection that is quiet for long is cut was not tried: "backupd check --silence 11m" does.',
        ),
      ];
}

async function findContainer(
  sources: Discovery['sources'],
  signal: AbortSignal,
): Promise<ContainerTarget | null> {
  for (const { source } of sources) {
    // Why one cannot be found is told with its source.
    const target = await source.locate(signal).catch(() => null);
    if (target !== null && 'container' in target) {
      return target;
    }
  }
  return null;
}
