import type { DestinationSettings } from '../core/destination-settings.ts';
import type { Environment, ReadText } from './environment.ts';
import { loadConfig } from './load.ts';

/**
 * A destination with the keys that are in its files now: they are changed while a daemon runs. All else counts from the
 * next start on, and so do keys where the files are not as they should be.
 */
export async function withKeysOfNow(
  settings: DestinationSettings,
  environment: Environment,
  readText?: ReadText,
): Promise<DestinationSettings> {
  const { place } = settings;
  if (place.kind !== 's3' || place.credentials === null) {
    return settings;
  }
  const { destinations } = (await loadConfig(environment, readText)).settings;
  const found = destinations.find(({ name }) => name === settings.name)?.place;
  return found?.kind === 's3' && found.credentials !== null
    ? { ...settings, place: { ...place, credentials: found.credentials } }
    : settings;
}
