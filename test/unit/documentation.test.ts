import { readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseCommand } from '../../src/cli/arguments.ts';
import { COMMANDS, COMMAND_NAMES } from '../../src/cli/command-table.ts';
import { COMMON_OPTIONS } from '../../src/cli/options.ts';
import { parseDestinationVariable } from '../../src/config/destination-schema.ts';
import { globalSchema } from '../../src/config/schema.ts';
import { parseSourceVariable, sourceKeys, toLabel } from '../../src/config/source-schema.ts';
import { FAILURES } from '../../src/core/errors.ts';
import { judgeDestination } from '../../src/core/copy-standing.ts';
import { judgeSource } from '../../src/core/standing.ts';
import type { ChannelStatus } from '../../src/core/status.ts';
import { STEPS } from '../../src/core/steps.ts';
import { NO_UPLOADS } from '../../src/core/upload-record.ts';
import { metrics } from '../../src/listeners/metrics.ts';
import { STATE_KINDS } from '../../src/store/state-file.ts';
import {
  blocks,
  inlineCode,
  programArguments,
  readDocuments,
  ROOT,
  rows,
  section,
  shellCommands,
} from '../support/documents.ts';
import { destinationSettings } from '../support/upload-stage.ts';
import { backupId, SAMPLE_ARCHIVE, sampleJob, sampleManifest } from '../support/storage.ts';

const DOCUMENTS = await readDocuments();

function documentAt(path: string): string {
  const found = DOCUMENTS.find((document) => document.path === path);
  if (found === undefined) {
    throw new Error(`there is no ${path}`);
  }
  return found.text;
}

function sorted(values: Iterable<string>): readonly string[] {
  return [...new Set(values)].toSorted();
}

describe('commands', () => {
  const all = DOCUMENTS.flatMap(({ path, text }) =>
    shellCommands(text).flatMap((command) => {
      const words = programArguments(command);
      return words === null ? [] : [{ path, command, words }];
    }),
  );

  test.each([
    ['README.md', 8],
    ['docs/restore.md', 15],
  ])('%s has commands', (path, least) => {
    expect(all.filter((found) => found.path === path).length).toBeGreaterThan(least);
  });

  test.each(all)('$path: $command', ({ words }) => {
    expect(() => parseCommand(words)).not.toThrow();
  });

  test('commands in running text exist and take the options they are shown with', () => {
    for (const { path, text } of DOCUMENTS) {
      const shown = inlineCode(text).filter((code) =>
        /^(?:backupd|restore|backup) [a-z-]/.test(code),
      );
      for (const code of shown) {
        const [first = '', ...rest] = code.split(/\s+/);
        const words = first === 'backupd' ? rest : [first, ...rest];
        const name = COMMAND_NAMES.find((known) => known === words[0]);
        expect(name, `${path}: ${code}`).toBeDefined();
        const known: readonly string[] = [...COMMANDS[name ?? 'check'].options, ...COMMON_OPTIONS];
        for (const [, option = ''] of code.matchAll(/--([a-z-]+)/g)) {
          expect(known, `${path}: ${code}`).toContain(option);
        }
      }
    }
  });

  const [table = ''] = documentAt('docs/commands.md').split('\n## ');
  const shown = rows(table).flatMap(([cell = '']) => inlineCode(cell));

  test('the table has no other commands', () => {
    expect(sorted(shown.map(commandShown))).toEqual(sorted(COMMAND_NAMES));
  });

  test.each(COMMAND_NAMES)('the table has %s with all it takes', (name) => {
    const usages = shown.filter((usage) => commandShown(usage) === name).join('\n');
    const options = [...usages.matchAll(/--([a-z-]+)/g)].map((match) => match[1] ?? '');
    expect(sorted(options)).toEqual(sorted(COMMANDS[name].options));
    for (const operand of COMMANDS[name].operands) {
      expect(usages).toContain(operand);
    }
  });
});

/** The name of the command whose usage this is. */
function commandShown(usage: string): string {
  const [first = '', second] = usage.split(' ');
  return first === 'backupd' ? (second ?? 'daemon') : first;
}

test('the table of exit codes is that of the code', () => {
  const documented = rows(section(documentAt('docs/commands.md'), '## Exit codes'))
    .slice(1)
    .filter(([, code]) => code !== '')
    .map(([exitCode, code]) => [code?.replaceAll('`', ''), Number(exitCode)]);
  const known = Object.entries(FAILURES).map(([code, { exitCode }]) => [code, exitCode]);
  expect(documented).toEqual(known);
});

test('exit codes named elsewhere have their number', () => {
  const pairs = DOCUMENTS.flatMap(({ path, text }) =>
    [...text.matchAll(/\b(\d+) `([a-z-]+)`/g)].map(([, number, code]) => ({ path, number, code })),
  ).filter(({ code }) => Object.hasOwn(FAILURES, code ?? ''));
  expect(pairs.length).toBeGreaterThan(5);
  for (const { path, number, code } of pairs) {
    expect(FAILURES[code as keyof typeof FAILURES].exitCode, `${path}: ${code}`).toBe(
      Number(number),
    );
  }
});

const CHANNEL: ChannelStatus = {
  channel: 'slack',
  lastSentAt: null,
  failure: null,
  failedInRow: 0,
  failuresTotal: 0,
  tryAgainAt: null,
};

/** Every series with its labels, as a scrape with one source and one warning shows them. */
async function renderedSeries(): Promise<ReadonlyMap<string, string>> {
  const manifest = sampleManifest({
    id: backupId(1),
    warnings: [{ code: 'shrunk', message: 'it shrank' }],
  });
  const destination = { settings: destinationSettings(), record: NO_UPLOADS, running: false };
  const totals = { success: 1, failed: 0, skipped: 0, interrupted: 0 };
  const status = judgeSource(
    {
      job: sampleJob(),
      present: true,
      running: false,
      entries: [{ manifest, receipts: [] }],
      record: { attempts: [], totals, removedTotal: 0 },
      previous: [],
      lastRestore: null,
      destinations: [destination],
      schedule: null,
    },
    Date.parse(manifest.finishedAt),
  );
  const text = await metrics('1.2.3').render({
    sources: [status],
    destinations: [judgeDestination(destination, status.copies, Date.parse(manifest.finishedAt))],
    configProblems: 0,
    channels: [CHANNEL],
    disk: { freeBytes: 1, sizeBytes: 2 },
  });
  return new Map(
    [...text.matchAll(/^(backupd_\w+)(?:\{(.*?)\})? /gm)].map(([, name = '', labels = '']) => [
      name,
      labels.replaceAll(/="[^"]*"/g, ''),
    ]),
  );
}

interface AlertRule {
  readonly alert: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

interface AlertTest {
  readonly alertname: string;
  readonly exp_alerts?: readonly unknown[];
}

describe('metrics', () => {
  test('the tables have every series with its labels, and no other', async () => {
    const documented = inlineCode(documentAt('docs/metrics.md'))
      .map((code) => /^(backupd_\w+)(?:\{(.*)\})?$/.exec(code))
      .filter((match) => match !== null)
      .map(([, name = '', labels = '']) => [name, labels] as const);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(await renderedSeries()));
  });

  test('no document and no alert names a series that does not exist', async () => {
    const known = await renderedSeries();
    for (const { path, text } of DOCUMENTS) {
      // Besides them there are a volume, and collections that restores name.
      for (const [name] of text.matchAll(/\bbackupd_(?!password|new_|before_)\w+/g)) {
        expect(known.has(name), `${path}: ${name}`).toBe(true);
      }
    }
  });

  test('every alert says what to do, is explained, and is tested firing and silent', async () => {
    const { groups } = parse(
      await readFile(join(ROOT, 'config/prometheus/alerts.yml'), 'utf8'),
    ) as { groups: readonly { rules: readonly AlertRule[] }[] };
    const { tests } = parse(
      await readFile(join(ROOT, 'test/integration/monitoring/alerts.yml'), 'utf8'),
    ) as { tests: readonly { alert_rule_test: readonly AlertTest[] }[] };
    const rules = groups.flatMap((group) => group.rules);
    const headings = [...documentAt('docs/monitoring.md').matchAll(/^### (.*)$/gm)];
    expect(headings.map(([, name]) => name)).toEqual(rules.map(({ alert }) => alert));
    for (const { alert, labels, annotations } of rules) {
      expect(['critical', 'warning']).toContain(labels.severity);
      expect(Object.keys(annotations)).toEqual(['summary', 'description', 'runbook']);
      expect(annotations['runbook']).toBe(`docs/monitoring.md#${alert.toLowerCase()}`);
      const tested = tests
        .flatMap(({ alert_rule_test: all }) => all)
        .filter(({ alertname }) => alertname === alert)
        .map(({ exp_alerts: expected = [] }) => expected.length > 0);
      expect(sorted(tested.map(String)), alert).toEqual(['false', 'true']);
    }
  });
});

describe('configuration', () => {
  test('variables that are named exist', () => {
    const known = new Set<string>(Object.values(globalSchema).map((option) => option.env));
    for (const { path, text } of DOCUMENTS) {
      for (const [name] of text.matchAll(/\bBACKUPD_[A-Z_]*[A-Z]\b(?!_?<)/g)) {
        const plain = name.replace(/_FILE$/, '');
        const exists =
          [name, plain].some(
            (one) =>
              known.has(one) ||
              parseSourceVariable(one) !== null ||
              parseDestinationVariable(one) !== null,
          ) ||
          // The mark of a process, not an option.
          name === 'BACKUPD_RUN';
        expect(exists, `${path}: ${name}`).toBe(true);
      }
    }
  });

  test('labels that are named exist', () => {
    const known = new Set([
      ...sourceKeys('label').map((key) => toLabel(key)),
      // Settings in a database, not labels.
      'backupd.beside',
      'backupd.previous',
    ]);
    for (const { path, text } of DOCUMENTS) {
      for (const [name] of text.matchAll(/(?<![\w./-])backupd\.(?!yml|example|ts)[a-z_]+/g)) {
        expect(known, `${path}: ${name}`).toContain(name);
      }
    }
  });

  test('what the README says to add is what the demo runs', async () => {
    interface Compose {
      readonly services: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
      readonly volumes: Readonly<Record<string, unknown>>;
    }
    const [text = ''] = blocks(documentAt('README.md'), 'yaml');
    const shown = parse(text) as Compose;
    const demo = parse(await readFile(join(ROOT, 'docker-compose.yml'), 'utf8')) as Compose;
    expect(demo.services['backupd']).toMatchObject(shown.services['backupd'] ?? {});
    expect(demo.services['db']).toMatchObject(shown.services['db'] ?? {});
    expect(Object.keys(demo.volumes)).toEqual(expect.arrayContaining(Object.keys(shown.volumes)));
  });
});

describe('the format', () => {
  const design = documentAt('docs/design.md');

  test('every field of a manifest is described, and no other', () => {
    const table = rows(section(design, '### The manifest')).slice(1);
    const described = table.flatMap(([field = '']) => inlineCode(field));
    expect(sorted(described)).toEqual(sorted(Object.keys(sampleManifest({ id: backupId(1) }))));
    const files = table.find(([field]) => field === '`files`')?.[1] ?? '';
    expect(inlineCode(files)).toEqual(expect.arrayContaining(Object.keys(SAMPLE_ARCHIVE)));
  });

  test('every folder of state is described', () => {
    const described = rows(section(design, '### State'))
      .flatMap(([file = '']) => inlineCode(file))
      .filter((file) => file.endsWith('.json'))
      .map((file) => file.split('/')[0] ?? '');
    expect(sorted(described)).toEqual(sorted(STATE_KINDS));
  });

  test('every point at which a process can die is named, in its order', () => {
    const named = rows(section(design, '## A restore, and what dies in it'))
      .slice(1)
      .flatMap(([, points = '']) => inlineCode(points));
    expect(named).toEqual(STEPS);
  });
});

/** How GitHub makes an anchor of a heading. */
function anchor(heading: string): string {
  return heading
    .replaceAll('`', '')
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

const LINKS = DOCUMENTS.flatMap(({ path, text }) =>
  [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => ({ path, link })),
);

test.each(LINKS)('link in $path to $link', async ({ path, link }) => {
  const [file = '', fragment] = link.split('#');
  const target = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file));
  const text = await readFile(join(ROOT, target), 'utf8');
  if (fragment !== undefined) {
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map((match) => anchor(match[1] ?? ''));
    expect(anchors).toContain(fragment);
  }
});
