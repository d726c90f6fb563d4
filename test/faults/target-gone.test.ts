import { afterAll, beforeAll, describe, it } from 'vitest';
import { endureFault, HALF_BYTES, startStage, type FaultStage } from '../support/fault-stage.ts';
import { startPostgres, waitUntilReady } from '../support/postgres.ts';
import { docker } from '../support/run-process.ts';
import { testVolume, type TestVolume } from '../support/test-container.ts';

let data: TestVolume;
let stage: FaultStage;

beforeAll(async () => {
  data = await testVolume();
  stage = await startStage({ server: { volumes: mounts() } });
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await data[Symbol.asyncDispose]();
});

function mounts(): readonly string[] {
  return [`${data.name}:/var/lib/postgresql/data`];
}

async function start(): Promise<void> {
  await docker('start', stage.server.name);
  await waitUntilReady(stage.server);
}

/** Removed by somebody else, and made again with the same name, labels and data, as compose does. */
async function runAgain(): Promise<void> {
  await startPostgres({
    name: stage.server.name,
    labels: stage.labels,
    volumes: [...stage.tool.volumes, ...mounts()],
  });
}

interface Ending {
  readonly what: string;
  readonly happen: (name: string) => Promise<unknown>;
  readonly repair: () => Promise<void>;
  readonly message: RegExp;
}

const ENDINGS: readonly Ending[] = [
  {
    what: 'is stopped',
    happen: async (name) => docker('stop', name),
    repair: start,
    message: /the container stopped/,
  },
  {
    what: 'is killed',
    happen: async (name) => docker('kill', name),
    repair: start,
    message: /the container stopped/,
  },
  {
    what: 'is restarted',
    happen: async (name) => docker('restart', name),
    repair: async () => waitUntilReady(stage.server),
    message: /the container (was restarted|stopped)/,
  },
  {
    what: 'is recreated',
    async happen(name) {
      await docker('rm', '--force', name);
      await runAgain();
    },
    repair: async () => waitUntilReady(stage.server),
    message: /the container (was removed|stopped)/,
  },
  {
    what: 'is removed',
    happen: async (name) => docker('rm', '--force', name),
    repair: runAgain,
    message: /the container (was removed|stopped)/,
  },
];

describe('a target that goes during its dump', () => {
  it.each(ENDINGS)('leaves no backup where it $what', async ({ happen, repair, message }) => {
    await stage.tool.set(`stall ${HALF_BYTES}`);
    await endureFault(stage, {
      async happen() {
        await stage.tool.reached();
        await happen(stage.server.name);
      },
      repair,
      exitCode: 21,
      code: 'dump-failed',
      message,
    });
  });
});
