import { BackupdError, type FailureCode } from '../../core/errors.ts';
import {
  asRead,
  binaryOf,
  booleanOf,
  documentOf,
  fieldsOf,
  listOf,
  numberOf,
  textOf,
  writeDocument,
  type Bson,
  type Field,
  type Writable,
} from './bson.ts';
import type { Connection } from './connection.ts';
import { ScramError, scramSha256 } from './scram.ts';
import { openWire, type Wire } from './wire.ts';

/** The first field of a command is its name. */
export type Command = Readonly<Record<string, Writable>>;

/** Who asks a server, logged in. Questions are asked one after the other. */
export interface Client {
  /** @throws ServerRefusal */
  run(database: string, command: Command): Promise<ReadonlyMap<string, Field>>;
  /** All that a command gives which answers with a cursor. @throws ServerRefusal */
  list(database: string, command: Command): Promise<readonly Bson[]>;
}

/** The server did not do what it was told. */
export class ServerRefusal extends BackupdError {
  /** The server's own: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml */
  readonly number: number;

  constructor(code: FailureCode, message: string, number: number, hint?: string) {
    super(code, message, hint === undefined ? {} : { hint });
    this.number = number;
  }
}

export const NAMESPACE_NOT_FOUND = 26;

/**
 * Does work with a client that is closed afterwards.
 * @param code whose failure it is where the server refuses
 */
export async function withClient<Result>(
  connection: Connection,
  code: FailureCode,
  signal: AbortSignal,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  await using wire = await openWire(connection, signal);
  const client = clientOn(wire, connection, code);
  await logIn(client, connection);
  return await work(client);
}

function clientOn(wire: Wire, { container }: Connection, code: FailureCode): Client {
  async function run(database: string, command: Command): Promise<ReadonlyMap<string, Field>> {
    const reply = fieldsOf(await wire.exchange(writeDocument({ ...command, $db: database })));
    if (numberOf(reply.get('ok')) !== 1) {
      throw refusal(container, command, reply, code);
    }
    const [failed] = listOf(reply.get('writeErrors')).flatMap((one) => documentOf(one) ?? []);
    if (failed !== undefined) {
      throw refusal(container, command, fieldsOf(failed), code);
    }
    return reply;
  }

  return {
    run,
    async list(database, command) {
      const found: Bson[] = [];
      let cursor = cursorOf(await run(database, command), 'firstBatch');
      found.push(...cursor.batch);
      while (!cursor.isDone) {
        const more = { getMore: cursor.id, collection: cursor.collection };
        cursor = cursorOf(await run(database, more), 'nextBatch');
        found.push(...cursor.batch);
      }
      return found;
    },
  };
}

function refusal(
  container: string,
  command: Command,
  reply: ReadonlyMap<string, Field>,
  code: FailureCode,
): ServerRefusal {
  const number = numberOf(reply.get('code')) ?? 0;
  const said = textOf(reply.get('errmsg')) ?? 'no reason given';
  const [name] = Object.keys(command);
  return new ServerRefusal(
    code,
    `the server in "${container}" refused ${name ?? 'a command'}: ${said}`,
    number,
  );
}

interface Cursor {
  readonly id: Writable;
  readonly isDone: boolean;
  readonly collection: string;
  readonly batch: readonly Bson[];
}

function cursorOf(reply: ReadonlyMap<string, Field>, batch: 'firstBatch' | 'nextBatch'): Cursor {
  const cursor = fieldsOf(documentOf(reply.get('cursor')) ?? writeDocument({}));
  const id = cursor.get('id');
  const namespace = textOf(cursor.get('ns')) ?? '';
  return {
    id: id === undefined ? 0 : asRead(id),
    isDone: numberOf(id) === 0 || id === undefined,
    collection: namespace.slice(namespace.indexOf('.') + 1),
    batch: listOf(cursor.get(batch)).flatMap((one) => documentOf(one) ?? []),
  };
}

async function logIn(client: Client, connection: Connection): Promise<void> {
  const { login, container } = connection;
  if (login === null) {
    return;
  }
  const { user, password } = login;
  const scram = scramSha256(user, password);
  try {
    const first = await client.run('admin', {
      saslStart: 1,
      mechanism: 'SCRAM-SHA-256',
      payload: Buffer.from(scram.first),
      options: { skipEmptyExchange: true },
    });
    const id = numberOf(first.get('conversationId')) ?? 1;
    const answer = Buffer.from(scram.answer(payloadOf(first)));
    const last = await client.run('admin', {
      saslContinue: 1,
      conversationId: id,
      payload: answer,
    });
    scram.check(payloadOf(last));
    if (booleanOf(last.get('done')) !== true) {
      const nothing = Buffer.alloc(0);
      await client.run('admin', { saslContinue: 1, conversationId: id, payload: nothing });
    }
  } catch (error) {
    if (error instanceof ServerRefusal || error instanceof ScramError) {
      throw new BackupdError(
        'dump-failed',
        `cannot log in to the server in "${container}" as "${user}" with its password: ${error.message}`,
        {
          hint: 'Check MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD of the container, or set the labels backupd.user and backupd.password_file.',
          cause: error,
        },
      );
    }
    throw error;
  }
}

function payloadOf(reply: ReadonlyMap<string, Field>): string {
  return Buffer.from(binaryOf(reply.get('payload')) ?? []).toString('utf8');
}
