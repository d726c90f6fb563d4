import { startIdleContainer } from '../support/idle-container.ts';
import { startMysql } from '../support/mysql.ts';
import { startPostgres } from '../support/postgres.ts';
import { docker } from '../support/run-process.ts';
import { runContainer, testVolume, type TestContainer } from '../support/test-container.ts';

/** A source of the soak: a database of a server, or a volume of a container. */
export interface SoakSource {
  readonly name: string;
  /** As in BACKUPD_SOURCES. */
  readonly url: string;
  /** In what `restore --as` made: the ticks that are there. It is removed after that. */
  readRestored(name: string): Promise<readonly number[]>;
}

/** A container with sources. Whoever runs the soak writes ticks into all of them, and knows when. */
export interface Target extends AsyncDisposable {
  readonly container: TestContainer;
  readonly sources: readonly SoakSource[];
  /** Writes tick `n` into every source. @throws Error where the target is down: some may have got it */
  write(n: number): Promise<void>;
}

export async function postgresTarget(stem: string, count: number): Promise<Target> {
  const server = await startPostgres();
  const names = namesOf(stem, count);
  await server.sql(
    names
      .map((name) => `create database ${name};\n\\connect ${name}\ncreate table ticks (n int);`)
      .join('\n'),
  );
  return {
    container: server,
    sources: names.map((name) => ({
      name,
      url: `postgres://${server.name}/${name}`,
      async readRestored(restored) {
        const ticks = await server.sql('select n from ticks', restored);
        await server.sql(`drop database ${restored}`, 'postgres');
        return numbers(ticks);
      },
    })),
    async write(n) {
      const into = names.map((name) => `\\connect ${name}\ninsert into ticks values (${n});`);
      await server.sql(into.join('\n'), 'postgres');
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export async function mariadbTarget(stem: string, count: number): Promise<Target> {
  // Of a server that is killed nothing may be lost that it said was written.
  const server = await startMysql({ image: 'mariadb:11.8', args: [] });
  const names = namesOf(stem, count);
  await server.sql(
    names
      .map((name) => `create database ${name}; create table ${name}.ticks (n int) engine=innodb;`)
      .join('\n'),
  );
  return {
    container: server,
    sources: names.map((name) => ({
      name,
      url: `mariadb://${server.name}/${name}`,
      async readRestored(restored) {
        const ticks = await server.sql(`select n from ${restored}.ticks`);
        await server.sql(`drop database ${restored}`);
        return numbers(ticks);
      },
    })),
    async write(n) {
      await server.sql(names.map((name) => `insert into ${name}.ticks values (${n});`).join('\n'));
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export async function volumeTarget(stem: string, count: number): Promise<Target> {
  await using stack = new AsyncDisposableStack();
  const names = namesOf(stem, count);
  const volumes: { readonly name: string; readonly volume: string }[] = [];
  for (const name of names) {
    volumes.push({ name, volume: stack.use(await testVolume()).name });
  }
  const container = stack.use(
    await startIdleContainer({
      volumes: volumes.map(({ name, volume }) => `${volume}:/srv/${name}`),
    }),
  );
  await runIn(container, 'for folder in /srv/*; do echo "of the soak" >"$folder/first"; done');
  const kept = stack.move();
  return {
    container,
    sources: volumes.map(({ name, volume }) => ({
      name,
      url: `volume://${volume}`,
      async readRestored(restored) {
        const { stdout } = await runContainer({
          image: 'debian:trixie-slim',
          volumes: [`${restored}:/restored:ro`],
          args: ['ls', '/restored'],
        });
        await docker('volume', 'rm', restored);
        return numbers(stdout.replaceAll('tick-', ''));
      },
    })),
    async write(n) {
      await runIn(container, `for folder in /srv/*; do echo ${n} >"$folder/tick-${n}"; done`);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Names that are good for a database, a variable and a part of a volume's name. */
function namesOf(stem: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${stem}${index}`);
}

function numbers(text: string): readonly number[] {
  return text
    .split('\n')
    .filter((line) => /^\d+$/.test(line))
    .map(Number);
}

async function runIn(container: TestContainer, script: string): Promise<void> {
  const { exitCode, stderr } = await container.exec(['sh', '-ec', script]);
  if (exitCode !== 0) {
    throw new Error(`the script ended with ${exitCode}: ${stderr}`);
  }
}
