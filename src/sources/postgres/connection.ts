import type Docker from 'dockerode';
import { createHash } from 'node:crypto';
import { BackupdError } from '../../core/errors.ts';
import type { Job } from '../../core/job.ts';
import { inspectContainer } from '../../docker/containers.ts';
import type { ExecExit } from '../../docker/channel.ts';
import { reasonOf } from '../../docker/exec-failure.ts';
import type { ExecRequest } from '../../docker/exec.ts';
import { runExec } from '../../docker/run-exec.ts';
import type { Tools } from './tools.ts';
import { runPrefix } from '../runs.ts';
import { readSetting, readTargetFile } from '../target-settings.ts';

/** How to reach the server in its container: what every psql, pg_dump and pg_restore of one run gets. */
export interface Connection {
  readonly docker: Docker;
  readonly containerId: string;
  readonly container: string;
  /** Marks the processes of this run; a prefix of it marks all runs of this source. */
  readonly run: string;
  /** `application_name` of the sessions of this run. */
  readonly applicationName: string;
  readonly user: string;
  readonly tools: Tools;
  /** A database that can be connected to for work on the whole server. */
  readonly maintenanceDatabase: string;
  /** Never printed: holds the password. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Timeouts and defaults that roles and databases may carry and that must not reach a dump or a restore, with the version that brought them. */
const NEUTRAL_OPTIONS: readonly (readonly [number, string])[] = [
  [9, 'statement_timeout=0'],
  [9, 'lock_timeout=0'],
  [9, 'idle_in_transaction_session_timeout=0'],
  [14, 'idle_session_timeout=0'],
  [17, 'transaction_timeout=0'],
  [9, 'default_transaction_read_only=off'],
  [9, 'default_transaction_isolation=read\\ committed'],
  [9, 'row_security=off'],
];

/** `application_name` of all sessions of a source begins so; PostgreSQL cuts it at 63 bytes, so long names are digested. */
export function applicationPrefix(runPrefix: string): string {
  return `backupd:${createHash('sha256').update(runPrefix).digest('hex').slice(0, 16)}:`;
}

/**
 * Finds out how to connect: user and password from labels or the target's own environment, a maintenance database, and
 * options that neither timeouts nor login triggers of the server can get in the way of.
 * @throws BackupdError `dump-failed` where the server refuses
 */
export async function connect(
  docker: Docker,
  at: { readonly containerId: string },
  how: Pick<Job, 'user' | 'passwordFile'> & { readonly run: string; readonly tools: Tools },
  signal: AbortSignal,
): Promise<Connection> {
  const { tools } = how;
  const record = await inspectContainer(docker, at.containerId, signal);
  const base = { docker, containerId: record.id, container: record.name, run: how.run };
  const user =
    how.user ??
    (await readSetting(base, record, 'POSTGRES_USER', signal)) ??
    record.env.get('PGUSER') ??
    'postgres';
  const password =
    how.passwordFile === null
      ? await readSetting(base, record, 'POSTGRES_PASSWORD', signal)
      : await readTargetFile(base, how.passwordFile, signal);
  const applicationName =
    applicationPrefix(runPrefix(how.run)) + how.run.slice(how.run.lastIndexOf('/') + 1);
  const candidates: Connection[] = [];
  for (const maintenanceDatabase of new Set([
    'postgres',
    record.env.get('POSTGRES_DB') ?? user,
    'template1',
  ])) {
    for (const options of connectionOptions(tools.major)) {
      candidates.push({
        ...base,
        applicationName,
        user,
        tools,
        maintenanceDatabase,
        environment: {
          LC_ALL: 'C',
          PGUSER: user,
          PGAPPNAME: applicationName,
          PGCONNECT_TIMEOUT: '30',
          PGOPTIONS: options,
          ...(password === null ? {} : { PGPASSWORD: password }),
        },
      });
    }
  }
  return firstThatConnects(candidates, signal);
}

/**
 * Since 17 a login trigger can lock everybody out, superusers too; only superusers may switch triggers off, and an option
 * that the server does not know or does not allow refuses the connection: hence the second try without it.
 */
function connectionOptions(major: number): readonly string[] {
  const neutral = NEUTRAL_OPTIONS.filter(([since]) => major >= since)
    .map(([, option]) => `-c ${option}`)
    .join(' ');
  return major >= 17 ? [`${neutral} -c event_triggers=off`, neutral] : [neutral];
}

async function firstThatConnects(
  candidates: readonly Connection[],
  signal: AbortSignal,
): Promise<Connection> {
  let first: BackupdError | null = null;
  for (const candidate of candidates) {
    const result = await runExec(
      candidate.docker,
      psqlRequest(candidate, candidate.maintenanceDatabase, ['-c', 'select 1']),
      signal,
    );
    if (result.exitCode === 0) {
      return candidate;
    }
    first ??= new BackupdError(
      'dump-failed',
      `cannot connect to PostgreSQL in "${candidate.container}" as "${candidate.user}": ${saidBy(result, result.stderr)}`,
      {
        hint: 'Check POSTGRES_USER and POSTGRES_PASSWORD of the container, or set the labels backupd.user and backupd.password_file.',
      },
    );
  }
  throw first ?? new BackupdError('internal', 'no way to connect was tried');
}

/** What every psql is started with: no startup file, no headers, names as UTF-8. */
export function psqlRequest(
  connection: Connection,
  database: string,
  argv: readonly string[],
): ExecRequest {
  return {
    containerId: connection.containerId,
    container: connection.container,
    run: connection.run,
    argv: [connection.tools.paths.psql, '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...argv],
    env: { ...connection.environment, PGDATABASE: database, PGCLIENTENCODING: 'UTF8' },
    // A count or a script may take long and say nothing.
    idleMs: 0,
  };
}

/** Why a tool ended; psql prefixes errors with the script's name and line, which say nothing here. */
export function saidBy(exit: Pick<ExecExit, 'ending'>, stderr: string): string {
  return reasonOf(exit, stderr.replaceAll(/^psql:[^:]*:\d+: /gm, ''));
}
