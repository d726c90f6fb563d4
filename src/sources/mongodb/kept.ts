import { BackupdError } from '../../core/errors.ts';
import type { Previous } from '../../core/restorer.ts';
import type { TargetRef } from '../../core/target.ts';
import type { Client } from './client.ts';
import { listCollections, listDatabases } from './databases.ts';
import { readMarks, type Exchange, type Mark, type Side } from './marks.ts';
import { isOurs, keptPrefix } from './names.ts';
import { namesOf, viewsOf } from './views.ts';

/** Everything of a database that is in use, with the names under which it will be kept. */
export async function sideInUse(client: Client, database: string, run: string): Promise<Side> {
  const rows = (await listCollections(client, database)).filter(({ name }) => !isOurs(name));
  return { prefix: keptPrefix(run), collections: namesOf(rows), views: viewsOf(rows) };
}

/** What a swap left behind. */
export function previousOf(mark: Mark, at: TargetRef): Previous {
  return {
    run: mark.run,
    source: mark.source,
    engine: 'mongodb',
    target: at,
    replacedAt: mark.at,
    databases: mark.exchanges.map((exchange) => ({
      name: exchange.database,
      currentId: isEmpty(exchange.incoming) ? null : exchange.database,
      kept: isEmpty(exchange.outgoing) ? null : keptOf(mark.run, exchange),
    })),
  };
}

function isEmpty({ collections, views }: Side): boolean {
  return collections.length === 0 && views.length === 0;
}

function keptOf(run: string, { database, outgoing }: Exchange): { id: string; name: string } {
  return { id: `${run}/${database}`, name: `${database}.${outgoing.prefix}*` };
}

/** What the server itself still has of what restores of a source kept, newest first. */
export async function readPrevious(
  client: Client,
  source: string,
  at: TargetRef,
): Promise<readonly Previous[]> {
  const inUse = new Set((await listDatabases(client)).map(({ name }) => name));
  const found: Previous[] = [];
  for (const mark of await readMarks(client)) {
    if (mark.state !== 'kept' || mark.source !== source) {
      continue;
    }
    const missing = new Set<string>();
    for (const { database, outgoing } of mark.exchanges) {
      const rows = await listCollections(client, database);
      const isThere = rows.some(({ name }) => name.startsWith(outgoing.prefix));
      if (!isThere && outgoing.collections.length > 0) {
        missing.add(database);
      }
    }
    const previous = previousOf(mark, at);
    const databases = previous.databases
      .filter(({ name, kept }) => kept !== null && !missing.has(name))
      .map((one) => ({ ...one, currentId: inUse.has(one.name) ? one.name : null }));
    if (databases.length > 0) {
      found.push({ ...previous, databases });
    }
  }
  return found;
}

/**
 * What an undo exchanges: what was kept comes back, what is in use goes. Where nothing was, nothing comes.
 * @throws BackupdError `nothing-to-undo` where things are not as the restore left them
 */
export async function undoExchanges(
  client: Client,
  previous: Previous,
  { restored, run }: { readonly restored: Mark | null; readonly run: string },
): Promise<readonly Exchange[]> {
  const exchanges: Exchange[] = [];
  for (const { name, currentId, kept } of previous.databases) {
    const outgoing = await sideInUse(client, name, run);
    if (isEmpty(outgoing) !== (currentId === null)) {
      throw nothingToUndo(
        isEmpty(outgoing)
          ? `"${name}", which the restore put there, is not there any more`
          : `there is a database "${name}", which the restore did not put there`,
      );
    }
    const known = restored?.exchanges.find(({ database }) => database === name);
    const incoming: Side =
      kept === null
        ? { prefix: keptPrefix(previous.run), collections: [], views: [] }
        : (known?.outgoing ?? gone(kept.name));
    const there = new Set((await listCollections(client, name)).map((row) => row.name));
    const missing = incoming.collections.find((one) => !there.has(incoming.prefix + one));
    if (missing !== undefined) {
      gone(`${name}.${incoming.prefix}${missing}`);
    }
    exchanges.push({ database: name, incoming, outgoing });
  }
  return exchanges;
}

function gone(name: string): never {
  throw nothingToUndo(`"${name}", which the restore kept, is not there any more`);
}

function nothingToUndo(message: string): BackupdError {
  return new BackupdError('nothing-to-undo', message, {
    hint: 'Somebody made or dropped it since.',
  });
}
