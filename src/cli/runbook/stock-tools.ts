import type { ArchiveFile, Manifest } from '../../core/manifest.ts';
import { quote } from './markdown.ts';

const DECRYPT = {
  age: 'age -d -i ../backupd-key.txt',
  gpg: 'gpg -d',
} as const;

const DECOMPRESS = { zstd: 'zstd -dc', gzip: 'gzip -dc' } as const;

/** What takes a file of a backup apart, the plain dump comes out of it. */
function plain({ encryption: { scheme } }: Manifest, file: ArchiveFile): string {
  const name = quote(file.name);
  const decompress = file.compression === 'none' ? null : DECOMPRESS[file.compression];
  if (scheme !== 'none') {
    const rest = decompress === null ? '' : ` | ${decompress}`;
    return `${DECRYPT[scheme]} ${name}${rest}`;
  }
  return decompress === null ? `cat ${name}` : `${decompress} ${name}`;
}

/** The commands that load a backup with nothing but the engine's own tools, in its folder; `$DB` is an empty server's container. */
export function loadCommands(latest: Manifest): readonly string[] {
  const load = LOADERS[latest.engine];
  // What belongs to the server comes first: owners must be there before what they own.
  const files = latest.files.toSorted(
    (one, other) => Number(one.database !== null) - Number(other.database !== null),
  );
  return files.flatMap((file) => {
    const into = load(file, latest);
    return into.map((command) => command.replace('PLAIN', () => plain(latest, file)));
  });
}

type Loader = (file: ArchiveFile, latest: Manifest) => readonly string[];

const LOADERS: Readonly<Record<Manifest['engine'], Loader>> = {
  postgres: ({ database }) => [
    database === null
      ? 'PLAIN | docker exec -i $DB psql -U postgres -d postgres'
      : // Every server has this one.
        `PLAIN | docker exec -i $DB pg_restore -U postgres ${database === 'postgres' ? '' : '--create '}--exit-on-error -d postgres`,
  ],
  mysql: mysqlLoader('mysql', 'MYSQL_ROOT_PASSWORD'),
  mariadb: mysqlLoader('mariadb', 'MARIADB_ROOT_PASSWORD'),
  mongodb: ({ database }) =>
    database === null
      ? []
      : [
          `PLAIN | docker exec -i $DB sh -c 'mongorestore -u "$MONGO_INITDB_ROOT_USERNAME" -p "$MONGO_INITDB_ROOT_PASSWORD" --archive --stopOnError'`,
        ],
  volume: () => [
    'PLAIN | docker run --rm -i -v "$VOLUME":/new debian:trixie-slim tar -x --numeric-owner --acls --xattrs --xattrs-include="*" -C /new',
  ],
};

function mysqlLoader(client: string, password: string): Loader {
  return ({ database }, latest) => {
    if (database === null) {
      return [`PLAIN | docker exec -i $DB sh -c 'MYSQL_PWD=$${password} ${client} --force'`];
    }
    const name = `\`${database.replaceAll('`', '``')}\``;
    const create = `create database ${name}${characters(latest, database)}`;
    return [
      `docker exec -i $DB sh -c 'MYSQL_PWD=$${password} ${client}' <<<${quote(create)}`,
      `PLAIN | docker exec -i -e NAME=${quote(database)} $DB sh -c 'MYSQL_PWD=$${password} ${client} "$NAME"'`,
    ];
  };
}

/** How text is written in a database; only the manifest knows. */
function characters({ engineFacts }: Manifest, database: string): string {
  const facts = engineFacts['databases'] as
    | Readonly<Record<string, { readonly characterSet?: unknown; readonly collation?: unknown }>>
    | undefined;
  const { characterSet, collation } = facts?.[database] ?? {};
  const isWord = [characterSet, collation].every((word) => /^\w+$/.test(String(word)));
  return isWord ? ` character set ${String(characterSet)} collate ${String(collation)}` : '';
}
