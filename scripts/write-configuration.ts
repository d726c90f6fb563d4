import { writeFile } from 'node:fs/promises';
import { describeConfiguration } from '../src/config/document.ts';

await writeFile(new URL('../docs/configuration.md', import.meta.url), describeConfiguration());
