import { defineConfig } from 'vitest/config';

/** Containers share one engine and its disk: their files run one after the other, and nothing is tried twice. */
const withContainers = { fileParallelism: false, testTimeout: 180_000, hookTimeout: 180_000 };

export default defineConfig({
  root: `${import.meta.dirname}/..`,
  test: {
    restoreMocks: true,
    unstubEnvs: true,
    retry: 0,
    passWithNoTests: false,
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 10_000 },
      },
      {
        extends: true,
        test: { name: 'contract', include: ['test/contract/**/*.test.ts'], ...withContainers },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          ...withContainers,
        },
      },
      {
        extends: true,
        test: { name: 'faults', include: ['test/faults/**/*.test.ts'], ...withContainers },
      },
    ],
  },
});
