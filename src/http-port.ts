import { loadConfig } from './config/load.ts';
import { processEnvironment } from './config/environment.ts';

// For the health check of the image, which asks that port.
const { settings } = await loadConfig(processEnvironment());
process.stdout.write(`${settings.httpPort ?? 'off'}\n`);
