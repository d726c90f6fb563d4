import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './documents.ts';
import { docker } from './run-process.ts';
import { temporaryFolder } from './storage.ts';
import { startContainer, uniqueName, type TestContainer } from './test-container.ts';
import { waitFor } from './wait-for.ts';

export const PROMETHEUS_IMAGE = 'backupd-test/prometheus:1';
const ALERTS = `${join(ROOT, 'config/prometheus/alerts.yml')}:/etc/prometheus/alerts.yml:ro`;

/** What `promtool` needs to see to run tests of the alerts as they are shipped. */
export const PROMTOOL_VOLUMES = [
  ALERTS,
  `${join(ROOT, 'test/integration/monitoring')}:/tests:ro`,
  `${join(ROOT, 'config/prometheus/prometheus.yml')}:/etc/prometheus/prometheus.yml:ro`,
];

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: 'pending' | 'firing';
}

export interface Rule {
  readonly name: string;
  readonly health: 'ok' | 'err' | 'unknown';
  readonly lastError?: string;
}

/** A Prometheus that scrapes one backupd every second, with the alerts as they are shipped. */
export interface Prometheus extends TestContainer {
  /** The values that an expression has now. @throws Error where it is none */
  query(expression: string): Promise<readonly number[]>;
  alerts(): Promise<readonly Alert[]>;
  rules(): Promise<readonly Rule[]>;
}

/** A network in which containers find each other by their names. */
export async function testNetwork(): Promise<AsyncDisposable & { readonly name: string }> {
  const name = uniqueName('network');
  await docker('network', 'create', '--label', 'backupd-test=1', name);
  return {
    name,
    async [Symbol.asyncDispose]() {
      await docker('network', 'rm', name);
    },
  };
}

/** @param target where the metrics are, as `host:port` within the network */
export async function startPrometheus(target: string, network: string): Promise<Prometheus> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await temporaryFolder());
  // It runs as nobody.
  await chmod(dir, 0o755);
  await writeFile(join(dir, 'prometheus.yml'), JSON.stringify(configFor(target)));
  const container = stack.use(
    await startContainer({
      image: PROMETHEUS_IMAGE,
      network,
      volumes: [`${join(dir, 'prometheus.yml')}:/etc/prometheus/prometheus.yml:ro`, ALERTS],
      more: ['-p', '127.0.0.1::9090'],
    }),
  );
  const address = await docker('port', container.name, '9090/tcp');

  async function get(path: string): Promise<unknown> {
    const answer = await fetch(`http://${address}/api/v1/${path}`);
    const { status, data, error } = (await answer.json()) as Readonly<Record<string, unknown>>;
    if (status !== 'success') {
      throw new Error(`Prometheus answered ${answer.status} to ${path}: ${String(error)}`);
    }
    return data;
  }

  await waitFor('answer from Prometheus', async () => get('query?query=1'));
  const kept = stack.move();
  return {
    ...container,
    async query(expression) {
      const { result } = (await get(`query?query=${encodeURIComponent(expression)}`)) as {
        readonly result: readonly { readonly value: readonly [number, string] }[];
      };
      return result.map(({ value: [, value] }) => Number(value.replace('Inf', 'Infinity')));
    },
    alerts: async () => ((await get('alerts')) as { alerts: readonly Alert[] }).alerts,
    async rules() {
      const { groups } = (await get('rules')) as { groups: readonly { rules: readonly Rule[] }[] };
      return groups.flatMap(({ rules }) => rules);
    },
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

/** As it is shipped, but for how often it looks. JSON is YAML, too. */
function configFor(target: string): object {
  return {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: ['/etc/prometheus/alerts.yml'],
    scrape_configs: [{ job_name: 'backupd', static_configs: [{ targets: [target] }] }],
  };
}
