import { pino, type Logger, type LoggerOptions } from 'pino';
import type { Emit, RunEvent } from '../core/events.ts';
import { dumpBytes, storedBytes } from '../core/manifest.ts';
import type { Settings } from '../core/settings.ts';
import { prettyLines } from './pretty-lines.ts';

/** Where the log goes. */
export interface LogSink {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Names whose values are never written, wherever they come from. */
const SECRETS = ['password', 'passphrase', 'secret', 'token', 'env', 'PGPASSWORD', 'authorization'];

/** A logger that writes a line for each entry: JSON, or plain text for people; `auto` asks whether a terminal reads it. */
export function logger(settings: Pick<Settings, 'logLevel' | 'logFormat'>, sink: LogSink): Logger {
  const { logLevel, logFormat } = settings;
  const isPretty = logFormat === 'pretty' || (logFormat === 'auto' && sink.isTTY === true);
  const options: LoggerOptions = {
    level: logLevel,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: SECRETS.flatMap((name) => [name, `*.${name}`]),
      censor: '[hidden]',
    },
  };
  return pino(options, isPretty ? prettyLines(sink) : sink);
}

/** Writes what happens to a log: static messages, the facts in fields. */
export function logEvents(log: Logger): Emit {
  return (event) => {
    const news = describe(event);
    if (news !== null) {
      log[news.level](news.fields, news.message);
    }
  };
}

interface Entry {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

type Describers = {
  readonly [Type in RunEvent['type']]: (
    event: Extract<RunEvent, { readonly type: Type }>,
  ) => Entry | null;
};

const DESCRIBERS: Describers = {
  'backup-started': ({ source, engine, id, trigger }) =>
    entry('info', 'backup started', { source, engine, id, trigger }),
  'backup-finished': describeBackup,
  'backup-failed': describeFailure,
  'backup-warning': ({ source, warning: { code, message } }) =>
    entry('warn', 'backup has a warning', { source, code, warning: message }),
  'run-skipped': ({ source, reason }) => entry('warn', 'run skipped', { source, reason }),
  'retry-planned': ({ source, at }) => entry('info', 'backup to be tried again', { source, at }),
  'backup-removed': ({ source, where, id }) =>
    entry('info', 'backup removed by retention', { source, where, id }),
  'prune-held': ({ source, where, count }) =>
    entry('error', 'mass removal held', {
      source,
      where,
      count,
      hint: 'Look at "backupd prune --dry-run". If it is meant, run "backupd prune --yes".',
    }),
  'copy-taken': ({ source, id, destination, why }) =>
    entry('warn', 'backup damaged, its copy is taken', { source, id, destination, why }),
  'retrieval-awaited': ({ source, id, message }) =>
    entry('info', 'archived files awaited', { source, id, files: message }),
  fetched: ({ source, id, destination, bytes }) =>
    entry('info', 'backup fetched', { source, id, destination, bytes }),
  'restore-finished': ({ source, id, into, durationMs }) =>
    entry('info', 'restore finished', { source, id, into, durationMs }),
  uploaded: ({ source, destination, id, bytes, durationMs }) =>
    entry('info', 'backup uploaded', { source, destination, id, bytes, durationMs }),
  'upload-failed': ({ source, destination, id, failure: { code, message: error, hint } }) =>
    entry('error', 'upload failed', { source, destination, id, code, error, hint }),
  'copy-lost': ({ source, destination, id, message }) =>
    entry('error', 'copy is lost', { source, destination, id, difference: message }),
  'clocks-apart': ({ destination, message }) =>
    entry('warn', 'clocks are apart', { destination, clocks: message }),
  'namespace-taken': ({ destination, from }) =>
    entry('warn', 'namespace taken over', { destination, from }),
  verified: describeVerification,
  'drill-started': ({ source, id }) => entry('info', 'drill started', { source, id }),
  'drill-finished': describeDrill,
  halted: ({ source, container, how }) =>
    entry('info', how === 'stop' ? 'container stopped' : 'container paused', { source, container }),
  released: ({ source, container, how, durationMs }) =>
    entry('info', how === 'stop' ? 'container started again' : 'container goes on', {
      source,
      container,
      durationMs,
    }),
  'hook-ended': ({ source, container, report: { when, exitCode, output, durationMs } }) =>
    entry(exitCode === 0 ? 'info' : 'error', `command ${when} the backup ended`, {
      source,
      container,
      exitCode,
      durationMs,
      output,
    }),
  recovered: ({ source, what }) =>
    entry('warn', 'recovered from an interruption', { source, what }),
  'recovery-postponed': ({ source, reason }) =>
    entry('warn', 'recovery postponed', { source, reason }),
  // For terminals: a line for every megabyte is no log.
  'backup-progress': () => null,
  'restore-progress': () => null,
  'verify-progress': () => null,
  'upload-progress': () => null,
};

/** Null for what is no news in a log. */
function describe(event: RunEvent): Entry | null {
  // The table has for each type the function of just that type, which the compiler cannot follow through the union.
  return (DESCRIBERS[event.type] as (event: RunEvent) => Entry | null)(event);
}

function entry(level: Entry['level'], message: string, fields: Entry['fields']): Entry {
  return { level, message, fields };
}

function describeBackup(event: RunEvent & { readonly type: 'backup-finished' }): Entry {
  const { source, manifest, durationMs } = event;
  return entry('info', 'backup finished', {
    source,
    id: manifest.id,
    durationMs,
    storedBytes: storedBytes(manifest),
    dumpBytes: dumpBytes(manifest),
    databases: manifest.databases.length,
  });
}

/** A run that was skipped or cancelled is no failure of the source. */
function describeFailure(event: RunEvent & { readonly type: 'backup-failed' }): Entry {
  const { source, id, durationMs } = event;
  const { code, message: error, hint } = event.failure;
  const fields = { source, id, durationMs, code, error, hint };
  if (code === 'locked') {
    return entry('warn', 'backup skipped', fields);
  }
  return code === 'cancelled'
    ? entry('warn', 'backup cancelled', fields)
    : entry('error', 'backup failed', fields);
}

function describeVerification(event: RunEvent & { readonly type: 'verified' }): Entry {
  const { source, id, failure } = event;
  return failure === null
    ? entry('info', 'backup verified', { source, id })
    : entry('error', 'backup is not whole', {
        source,
        id,
        code: failure.code,
        error: failure.message,
        hint: failure.hint,
      });
}

function describeDrill({ source, report }: RunEvent & { readonly type: 'drill-finished' }): Entry {
  const { id, ok, skipped, recoveryMs, integrity, differences, failure, notes } = report;
  if (ok) {
    return entry('info', 'drill passed', { source, id, recoveryMs, integrity, notes });
  }
  const { code, message: error, hint } = failure ?? { code: null, message: null, hint: null };
  return skipped === null
    ? entry('error', 'drill failed', {
        source,
        id,
        code,
        error,
        hint,
        integrity,
        differences: differences.slice(0, 5),
      })
    : entry('warn', 'drill skipped', { source, id, code, reason: skipped, hint });
}
