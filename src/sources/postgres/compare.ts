import { compareFacts, wereTaken, type Comparison, type DatabaseFacts } from '../../core/facts.ts';
import type { BesideDatabase } from '../../core/restorer.ts';
import type { Connection } from './connection.ts';
import { readFacts, readSequences } from './facts.ts';
import { openSession, runSql } from './session.ts';

/** Compares a database that was loaded beside with what was true of it when it was dumped. */
export async function compareDatabase(
  connection: Connection,
  { name, temporary }: BesideDatabase,
  expected: DatabaseFacts,
  signal: AbortSignal,
): Promise<Comparison> {
  await using session = await openSession(connection, temporary, signal);
  await session.run('begin transaction isolation level repeatable read read only');
  const depth = Object.values(expected.tables).some((table) => table.exact)
    ? 'exact'
    : wereTaken(expected)
      ? 'estimate'
      : 'off';
  const facts = await readFacts(session, { depth, budgetMs: Infinity });
  const sequences = depth === 'off' ? expected.sequences : await readSequences(session);
  return compareFacts(name, expected, { ...facts, sequences });
}

/** Gathers the statistics that the planner needs: without them a restored database is slow at first. */
export async function analyzeDatabase(
  connection: Connection,
  { temporary }: BesideDatabase,
  signal: AbortSignal,
): Promise<void> {
  const query = { database: temporary, sql: 'analyze;', code: 'restore-failed' } as const;
  await runSql(connection, query, signal);
}
