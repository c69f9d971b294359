import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { openTemplateCache } from '../../src/index-repo/template-cache.js';
import { FAST, startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { templateEntry } from '../helpers/template-entry.js';

const DATA = randomBytes(300_000);

it('verifying with an aborted signal leaves no rejection unheard when the download is stopped', async () => {
  await using server = await startTestServer({ '/t.xz': { data: DATA } });
  server.fault = () => ({ slowMs: 50 });
  await using folder = await scratchFolder();
  const unheard: unknown[] = [];
  const listener = (error: unknown): void => void unheard.push(error);
  process.on('unhandledRejection', listener);
  try {
    const cache = openTemplateCache(join(folder.path, 'cache'));
    const handle = await cache.fetch(templateEntry(`${server.url}/t.xz`, DATA), { http: FAST });
    const reason = new Error('stopped by the test');
    await expect(handle.verify(AbortSignal.abort(reason))).rejects.toBe(reason);
    await handle[Symbol.asyncDispose]();
    await turn();
    await turn();
    expect(unheard).toEqual([]);
  } finally {
    process.off('unhandledRejection', listener);
  }
});
