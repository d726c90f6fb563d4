import { defineConfig } from 'vitest/config';

import { tallyReporter } from './support/tally.ts';

/**
 * Two files at a time: much of what they do is to wait for containers. All that they start has names of its own, and
 * nothing is tried twice.
 */
const withContainers = {
  maxWorkers: 2,
  testTimeout: 180_000,
  hookTimeout: 180_000,
  // Its reaper is an image that cannot be had everywhere; every test removes what it started.
  env: { TESTCONTAINERS_RYUK_DISABLED: 'true' },
};

export default defineConfig({
  root: `${import.meta.dirname}/..`,
  test: {
    restoreMocks: true,
    unstubEnvs: true,
    retry: 0,
    passWithNoTests: false,
    reporters: ['default', tallyReporter()],
    // The order of the groups: the quick ones first, and never two projects at a time.
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 10_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          sequence: { groupOrder: 1 },
          ...withContainers,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          sequence: { groupOrder: 2 },
          ...withContainers,
        },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          sequence: { groupOrder: 3 },
          ...withContainers,
        },
      },
    ],
  },
});
