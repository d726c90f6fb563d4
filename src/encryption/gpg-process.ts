import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { toError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';

/** What gpg is told besides what it is to do: its home, and the passphrase of keys where it may need one. */
export interface GpgSetting {
  readonly home: string;
  readonly passphrase: Secret<string> | null;
}

/** How gpg ended. */
export interface GpgExit {
  /** Null where it was ended by a signal, or did not start. */
  readonly exitCode: number | null;
  /** The lines for machines, without their mark: `DECRYPTION_OKAY`, `INV_RECP 5 ...`. */
  readonly status: readonly string[];
  /** The end of what it said to people. */
  readonly said: string;
  /** Why it did not start; null: it did. */
  readonly notStarted: Error | null;
}

export interface RunningGpg {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves when it has ended and all of its output was read. Never rejects. */
  readonly exit: Promise<GpgExit>;
  /** For the listener of a signal, too. */
  readonly kill: () => void;
}

/** Not that of this process, which has secrets in its environment. */
export const TOOL_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
};
const MARK = '[GNUPG:] ';
const STATUS_FD = 3;
const PASSPHRASE_FD = 4;
const SAID_CHARACTERS = 2000;

/** Starts gpg; what it may not show goes through descriptors. Its streams are the caller's. */
export function startGpg({ home, passphrase }: GpgSetting, args: readonly string[]): RunningGpg {
  const child = spawn('gpg', [...COMMON, '--homedir', home, ...args], {
    env: TOOL_ENVIRONMENT,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const [stdin, stdout, stderr, statusLines, passphraseInput] = child.stdio as unknown as [
    Writable,
    Readable,
    Readable,
    Readable,
    Writable,
  ];
  // One that ends before it has read everything says why in another way.
  stdin.on('error', () => undefined);
  passphraseInput.on('error', () => undefined);
  passphraseInput.end(`${passphrase?.reveal() ?? ''}\n`);
  return {
    stdin,
    stdout,
    exit: exitOf(child, stderr, statusLines),
    kill: () => child.kill('SIGKILL'),
  };
}

const COMMON = [
  '--batch',
  '--no-tty',
  '--no-options',
  '--status-fd',
  String(STATUS_FD),
  '--pinentry-mode',
  'loopback',
  '--passphrase-fd',
  String(PASSPHRASE_FD),
  // The keys are those that are configured: nobody has to vouch for them.
  '--trust-model',
  'always',
  '--no-auto-key-retrieve',
];

async function exitOf(
  child: ChildProcess,
  stderr: Readable,
  statusLines: Readable,
): Promise<GpgExit> {
  let said = '';
  stderr.setEncoding('utf8').on('data', (more: string) => {
    said = `${said}${more}`.slice(-SAID_CHARACTERS);
  });
  const status: string[] = [];
  createInterface({ input: statusLines }).on('line', (line) => {
    if (line.startsWith(MARK)) {
      status.push(line.slice(MARK.length));
    }
  });
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return { exitCode, status, said, notStarted: null };
  } catch (error) {
    return { exitCode: null, status, said, notStarted: toError(error) };
  }
}

export interface GpgResult extends GpgExit {
  readonly stdout: string;
}

/** Runs gpg on a small input to its end, however that is. */
export async function runGpg(
  setting: GpgSetting,
  args: readonly string[],
  input: string | Uint8Array,
  signal: AbortSignal,
): Promise<GpgResult> {
  signal.throwIfAborted();
  const gpg = startGpg(setting, args);
  signal.addEventListener('abort', gpg.kill, { once: true });
  try {
    gpg.stdin.end(input);
    const [stdout, exit] = await Promise.all([text(gpg.stdout), gpg.exit]);
    signal.throwIfAborted();
    return { ...exit, stdout };
  } finally {
    signal.removeEventListener('abort', gpg.kill);
  }
}

/** What gpg said that tells most, for a message that names it already. */
export function reasonOf({ exitCode, said, notStarted }: GpgExit): string {
  if (notStarted !== null) {
    return `it could not be started: ${notStarted.message}`;
  }
  const lines = said
    .split('\n')
    .map((line) => line.replace(/^gpg: /, '').trim())
    .filter((line) => line !== '' && !/^(?:WARNING|Note):/i.test(line));
  const outcome = exitCode === null ? 'it was killed' : `exit code ${exitCode}`;
  return lines.length === 0 ? outcome : `${outcome}, ${lines.slice(-2).join('; ')}`;
}

/** The arguments of a status line; null where there is none of that keyword. */
export function statusOf(exit: Pick<GpgExit, 'status'>, keyword: string): readonly string[] | null {
  const line = exit.status.find((one) => one === keyword || one.startsWith(`${keyword} `));
  return line?.split(' ').slice(1) ?? null;
}
