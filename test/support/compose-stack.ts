import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DockerComposeEnvironment, Wait } from 'testcontainers';
import { backupdImage, daemonIn, type Daemon } from './backupd.ts';
import { ROOT } from './documents.ts';
import { postgresIn, type Postgres } from './postgres.ts';
import { docker } from './run-process.ts';
import { temporaryFolder } from './storage.ts';
import { containerNamed, uniqueName } from './test-container.ts';

const FILE = 'docker-compose.test.yml';

/** What is added to a service of the stack, as a compose file says it. */
export type ServiceChanges = Readonly<Record<string, unknown>>;

export interface StackOptions {
  readonly services?: Readonly<Record<string, ServiceChanges>>;
  /** More at the top level, such as `secrets`. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** What the environment of `db` says of its user and databases, where that is changed. */
  readonly serverEnv?: Readonly<Record<string, string>>;
}

/** `docker-compose.test.yml`, started as a project of its own: a labelled PostgreSQL `db`, and backupd beside it. */
export interface ComposeStack extends AsyncDisposable {
  readonly project: string;
  readonly daemon: Daemon;
  readonly server: Postgres;
  /** The labels of a service of this project, for a container that is started beside it. */
  labelsOf(service: string): Readonly<Record<string, string>>;
  /** `docker compose ARGS` on this project. */
  compose(...args: readonly string[]): Promise<string>;
}

/** Starts the stack; returns when the database takes connections and the daemon answers. */
export async function startComposeStack(options: StackOptions = {}): Promise<ComposeStack> {
  await using stack = new AsyncDisposableStack();
  const { dir } = stack.use(await temporaryFolder());
  const project = uniqueName('compose');
  const changes = join(dir, 'changes.json');
  // JSON is YAML, too.
  await writeFile(
    changes,
    JSON.stringify({
      services: { ...options.services, ...(await imageOfBackupd(options)) },
      ...options.more,
    }),
  );
  const started = await new DockerComposeEnvironment(ROOT, [FILE, changes])
    .withProjectName(project)
    .withWaitStrategy('backupd-1', Wait.forHealthCheck())
    .up();
  stack.defer(async () => {
    await started.down({ removeVolumes: true });
  });
  const [server, backupd] = ['db', 'backupd'].map((service) =>
    containerNamed(`${project}-${service}-1`, started.getContainer(`${service}-1`).getId()),
  );
  if (server === undefined || backupd === undefined) {
    throw new Error('no containers');
  }
  const kept = stack.move();
  return {
    project,
    daemon: daemonIn(backupd),
    server: postgresIn(server, {
      POSTGRES_PASSWORD: 'test',
      POSTGRES_DB: 'shop',
      ...options.serverEnv,
    }),
    labelsOf: (service) => ({
      'com.docker.compose.project': project,
      'com.docker.compose.service': service,
    }),
    compose: async (...args) =>
      docker('compose', '-p', project, '-f', join(ROOT, FILE), '-f', changes, ...args),
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

/** The image that is under test. */
async function imageOfBackupd({
  services = {},
}: StackOptions): Promise<Readonly<Record<string, ServiceChanges>>> {
  return { backupd: { ...services['backupd'], image: await backupdImage() } };
}
