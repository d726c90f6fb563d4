import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test('the image says the version that the package has', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(readFileSync('Dockerfile', 'utf8')).toMatch(`ARG VERSION=${version}\n`);
});
