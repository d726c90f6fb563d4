import { expect, test } from 'vitest';
import { PROMETHEUS_IMAGE, PROMTOOL_VOLUMES } from '../../support/prometheus.ts';
import { runContainer } from '../../support/test-container.ts';

test.each([
  [
    'every alert fires where it must, and is silent where it must not',
    'test rules /tests/alerts.yml',
  ],
  ['the configuration of the demo is one', 'check config /etc/prometheus/prometheus.yml'],
])('%s', async (_name, args) => {
  const { exitCode, stdout, stderr } = await runContainer({
    image: PROMETHEUS_IMAGE,
    entrypoint: 'promtool',
    args: args.split(' '),
    volumes: PROMTOOL_VOLUMES,
  });
  expect(exitCode, stdout + stderr).toBe(0);
});
