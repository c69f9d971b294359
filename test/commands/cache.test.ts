import { createHash, randomBytes } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Config } from '@oclif/core';
import { captureOutput } from '@oclif/test';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import CacheClear from '../../src/commands/cache/clear.js';
import CacheFetch from '../../src/commands/cache/fetch.js';
import CacheGc from '../../src/commands/cache/gc.js';
import CacheImport from '../../src/commands/cache/import.js';
import CacheList from '../../src/commands/cache/list.js';
import CacheVerify from '../../src/commands/cache/verify.js';
import { type TestServer, startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const DATA = randomBytes(5000);
const SHA512 = createHash('sha512').update(DATA).digest('hex');

let server: TestServer;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let config: Config;
let cached: string;
let index: string[];

beforeEach(async () => {
  const section = (name: string): string =>
    `[${name}]\nname=Test\narch=x86_64\nfile=t.xz\nchecksum[sha512]=${SHA512}\nsize=10000\ncompressed_size=5000\n`;
  server = await startTestServer({
    '/index': { data: Buffer.from([section('one'), section('two')].join('\n')) },
    '/t.xz': { data: DATA },
  });
  folder = await scratchFolder();
  config = await Config.load(join(import.meta.dirname, '../..'));
  cached = join(folder.path, 'cache', 'sha512', SHA512);
  index = ['--source', `${server.url}/index`, '--no-check-signature', '--arch', 'x86_64'];
  process.exitCode = undefined;
});
afterEach(async () => {
  process.exitCode = undefined;
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

interface CommandClass {
  run(argv: string[], config: Config): Promise<unknown>;
}

/** Runs a command on the cache of this test. */
async function run(command: CommandClass, ...words: string[]): Promise<{ result: unknown; text: string }> {
  const argv = [...words, '--cache', join(folder.path, 'cache')];
  const { result, stdout, error } = await captureOutput(() => command.run(argv, config));
  if (error) throw error;
  return { result, text: stdout };
}

describe('cache commands', () => {
  it('fetch several templates, list them, and clear', async () => {
    const fetched = await run(CacheFetch, 'one', 'two', 'one', ...index);
    expect(fetched.result).toMatchObject({ templates: [{ name: 'one', path: cached }, { name: 'two' }] });
    expect(fetched.text).toContain(`one (x86_64, revision 1): ${cached}`);
    expect(server.requests.filter(({ path }) => path === '/t.xz')).toHaveLength(1);
    const listed = await run(CacheList);
    expect(listed.result).toMatchObject({ templates: [{ sha512: SHA512, size: 5000 }] });
    expect(listed.text).toMatch(/^NAME +ARCH +REVISION +SIZE +USED +SOURCE\n(one|two) +x86_64 +1 +4.9 KiB /);
    const cleared = await run(CacheClear);
    expect(cleared.text).toContain('1 file, 4.9 KiB freed');
    expect((await run(CacheList)).text).toBe('');
  });

  it('fetch nothing when one of the names does not exist', async () => {
    await run(CacheFetch, 'one', 'nope', ...index, '--quiet');
    expect(process.exitCode).toBe(3);
    expect(server.requests.filter(({ path }) => path === '/t.xz')).toEqual([]);
  });

  it('know no --no-cache', async () => {
    for (const command of [CacheFetch, CacheGc, CacheImport]) {
      process.exitCode = undefined;
      await run(command, 'one', ...index, '--no-cache');
      expect(process.exitCode).toBe(2);
    }
  });

  it('verify, and end with status 5 when a file is damaged', async () => {
    await run(CacheFetch, 'one', ...index);
    expect((await run(CacheVerify)).text).toContain('4.9 KiB in 1 of 1 files are as they should be');
    expect(process.exitCode).toBeUndefined();
    await truncate(cached, 10);
    await run(CacheVerify);
    expect(process.exitCode).toBe(5);
    expect((await run(CacheList)).text).toBe('');
  });

  it('collect garbage by rules', async () => {
    await run(CacheFetch, 'one', ...index);
    expect((await run(CacheGc)).result).toMatchObject({ removed: [] });
    expect((await run(CacheGc, '--unreferenced', ...index)).result).toMatchObject({ removed: [] });
    const dry = await run(CacheGc, '--max-size', '1K', '--dry-run');
    expect(dry.result).toMatchObject({ dryRun: true, removed: [{ size: 5000, reason: 'size' }] });
    expect(dry.text).toContain('would be freed');
    server.files['/index'] = { data: Buffer.from('[one]\narch=x86_64\nfile=other.xz\nsize=1\n') };
    const removed = await run(CacheGc, '--unreferenced', ...index);
    expect(removed.result).toMatchObject({ removed: [{ reason: 'unreferenced' }] });
  });

  it('remove nothing as unreferenced when an index cannot be read', async () => {
    await run(CacheFetch, 'one', ...index);
    await run(CacheGc, '--unreferenced', ...index, '--source', `${server.url}/missing`);
    expect(process.exitCode).toBe(6);
    expect((await run(CacheList)).text).toContain('x86_64');
  });

  it('import a file by its content or as a template', async () => {
    const file = join(folder.path, 'usb.xz');
    await writeFile(file, DATA);
    expect((await run(CacheImport, file, ...index)).result).toMatchObject({ name: 'one', path: cached });
    await run(CacheClear);
    expect((await run(CacheImport, file, 'two', ...index)).result).toMatchObject({
      name: 'two',
      path: cached,
    });
    await writeFile(file, randomBytes(5000));
    await run(CacheImport, file, ...index);
    expect(process.exitCode).toBe(3);
    await run(CacheImport, file, 'one', ...index);
    expect(process.exitCode).toBe(5);
  });
});
