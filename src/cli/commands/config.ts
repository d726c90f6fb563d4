import type { ConfigProblem } from '../../core/discovery.ts';
import { FAILURES } from '../../core/errors.ts';
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
  out.printJson({
    options: app.options,
    sources: discovery.sources.map((bound) => describeSource(bound)),
    problems,
    docker: discovery.docker,
    directory: app.storageFailure,
  });
  out.print(
    ...optionTable(app.options),
    ...discovery.sources.flatMap((bound) => sourceLines(bound)),
    ...(discovery.sources.length === 0 ? ['', 'no sources'] : []),
    ...problems.flatMap((problem) => problemLines(problem)),
  );
  for (const failure of [discovery.docker, app.storageFailure]) {
    out.print(...(failure === null ? [] : failureLines(failure)));
  }
  // A directory of another namespace is a wrong configuration; one that is not there is not.
  return problems.some(({ severity }) => severity === 'fatal') ||
    app.storageFailure?.code === 'config-invalid'
    ? FAILURES['config-invalid'].exitCode
    : 0;
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
