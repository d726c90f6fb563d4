import { BackupdError } from '../core/errors.ts';
import type { Engine } from '../core/source.ts';
import type { EngineDefinition } from './engine.ts';
import { MONGODB } from './mongodb/mongodb.ts';
import { MARIADB, MYSQL } from './mysql/mysql.ts';
import { POSTGRES } from './postgres/postgres.ts';
import { VOLUME } from './volume/volume.ts';

/** Every engine there is; where two would do, the first one is meant. */
export const DEFINITIONS: readonly EngineDefinition[] = [POSTGRES, MONGODB, MARIADB, MYSQL, VOLUME];

/** @throws BackupdError `format-unsupported` for one that this version does not know */
export function definitionOf(engine: Engine): EngineDefinition {
  const found = DEFINITIONS.find((definition) => definition.engine === engine);
  if (found === undefined) {
    throw new BackupdError('format-unsupported', `this backupd does not know ${engine}`, {
      hint: 'Use the backupd version that wrote the backup, or a newer one.',
    });
  }
  return found;
}
