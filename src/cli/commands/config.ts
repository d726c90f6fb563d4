import type { ConfigProblem } from '../../core/discovery.ts';
import type { Keys } from '../../core/encryption.ts';
import { FAILURES, toFailure, type Failure } from '../../core/errors.ts';
import type { Encryption } from '../../core/manifest.ts';
import type { OptionInForce } from '../../core/settings.ts';
import type { App, BoundSource } from '../../jobs/context.ts';
import { collectProblems } from '../../jobs/status.ts';
import type { CommandOf } from '../arguments.ts';
import { failureLines } from '../failure-text.ts';
import { warningLine, type Output } from '../output.ts';
import { tableLines } from '../table.ts';
import type { Line } from '../text.ts';

/** `config`: what is in force, where it came from, and what is wrong with it. */
export async function configCommand(
  _args: CommandOf<'config'>,
  app: App,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const discovery = await app.discover(signal);
  const problems = collectProblems(app, discovery);
  const isWrong = problems.some(({ severity }) => severity === 'fatal');
  const { encryption, failure } = isWrong
    ? UNKNOWN_ENCRYPTION
    : await describeEncryption(app.context.keys, signal);
  out.printJson({
    options: app.options,
    encryption,
    sources: discovery.sources.map((bound) => describeSource(bound)),
    problems,
    keys: failure,
    docker: discovery.docker,
    directory: app.storageFailure,
  });
  out.print(
    ...optionTable(app.options),
    ...(encryption === null ? [] : ['', encryptionLine(encryption)]),
    ...discovery.sources.flatMap((bound) => sourceLines(bound)),
    ...(discovery.sources.length === 0 ? ['', 'no sources'] : []),
    ...problems.flatMap((problem) => problemLines(problem)),
  );
  for (const each of [failure, discovery.docker, app.storageFailure]) {
    out.print(...(each === null ? [] : failureLines(each)));
  }
  // A directory of another namespace is a wrong configuration; one that is not there is not.
  return isWrong ||
    failure?.code === 'config-invalid' ||
    app.storageFailure?.code === 'config-invalid'
    ? FAILURES['config-invalid'].exitCode
    : 0;
}

interface DescribedEncryption {
  /** Null where it is not known. */
  readonly encryption: Encryption | null;
  readonly failure: Failure | null;
}

/** An option that is wrong counts as one that is not there; that backups are not encrypted would be said of it. */
const UNKNOWN_ENCRYPTION: DescribedEncryption = { encryption: null, failure: null };

/** How new backups are encrypted, or why they cannot be. */
async function describeEncryption(keys: Keys, signal: AbortSignal): Promise<DescribedEncryption> {
  try {
    await using encrypter = await keys.encrypter(signal);
    return { encryption: encrypter.encryption, failure: null };
  } catch (error) {
    signal.throwIfAborted();
    return { encryption: null, failure: toFailure(error) };
  }
}

function encryptionLine({ scheme, keyIds }: Encryption): Line {
  return scheme === 'none'
    ? 'backups are not encrypted'
    : `backups are encrypted with ${scheme} for ${keyIds.join(', ')}`;
}

function describeSource({ job, source, options }: BoundSource): Readonly<Record<string, unknown>> {
  return {
    source: job.source,
    engine: source.engine,
    ...(job.target.by === 'volume'
      ? { volume: job.target.volume }
      : { container: job.target.container }),
    options,
  };
}

function sourceLines({ job, source, options }: BoundSource): readonly Line[] {
  return [
    '',
    [
      'source ',
      { text: job.source, format: 'bold' },
      job.target.by === 'volume'
        ? `, ${job.target.volume}`
        : `, ${source.engine} in container ${job.target.container}`,
    ],
    ...optionTable(options),
  ];
}

function optionTable(options: readonly OptionInForce[]): readonly Line[] {
  return tableLines(
    [{ title: 'OPTION' }, { title: 'VALUE' }, { title: 'FROM' }],
    options.map(({ name, value, from }) => [name, value ?? '-', from]),
  );
}

function problemLines({ option, message, hint, severity }: ConfigProblem): readonly Line[] {
  const text = `${option}: ${message}`;
  return severity === 'loud'
    ? [warningLine(hint === null ? text : `${text}. ${hint}`)]
    : failureLines({ message: text, hint });
}
