import { chromium, type Browser } from 'playwright-core';
import { docker, runProcess } from './run-process.ts';
import { startContainer } from './test-container.ts';
import { waitFor } from './wait-for.ts';

const IMAGE = 'backupd-test/chromium:1';

export interface TestBrowser extends AsyncDisposable {
  readonly browser: Browser;
}

/** A real Chromium in a network of Docker, to see what is there as people do. @throws Error where its image is not there */
export async function openBrowser(network: string): Promise<TestBrowser> {
  const { exitCode } = await runProcess(['docker', 'image', 'inspect', IMAGE]);
  if (exitCode !== 0) {
    throw new Error(`there is no image ${IMAGE}: run scripts/provide-images ${IMAGE}`);
  }
  await using stack = new AsyncDisposableStack();
  const container = stack.use(
    await startContainer({ image: IMAGE, network, more: ['-p', '127.0.0.1::9222'] }),
  );
  const address = `http://${await docker('port', container.name, '9222/tcp')}`;
  await waitFor('answer from the browser', async () => {
    const response = await fetch(`${address}/json/version`).catch(() => null);
    return response?.ok === true;
  });
  const browser = await chromium.connectOverCDP(address);
  stack.defer(async () => browser.close());
  const kept = stack.move();
  return { browser, [Symbol.asyncDispose]: async () => kept.disposeAsync() };
}
