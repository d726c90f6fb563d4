import type { Kept, Side } from './marks.ts';
import { charactersStatement } from './tables.ts';

/**
 * The statements, one or none, that give the database in use the character set that it had or is to have. None where nothing
 * in an exchange changes it: MySQL waits for locks on all tables of the database.
 */
export function charactersFor(
  name: string,
  { mark, objects }: Kept,
  side: Side,
): readonly string[] {
  const { characters } = mark;
  const isChanged =
    characters.old.characterSet !== characters.new.characterSet ||
    characters.old.collation !== characters.new.collation ||
    // Objects that were made with another one are made so again.
    [...objects.old, ...objects.new].some(({ settings }) => settings['database'] !== undefined);
  return isChanged ? [charactersStatement(name, characters[side])] : [];
}
