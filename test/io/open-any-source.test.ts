import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openAnySource } from '../../src/io/open-any-source.js';
import { type Progress, silentProgress } from '../../src/progress.js';
import { FAST, type TestServer, startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const DATA = randomBytes(200_000);
const LAST_MODIFIED = 'Sat, 01 Aug 2026 10:00:00 GMT';

let server: TestServer;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let steps: string[];
let warnings: string[];
let progress: Progress;

beforeEach(async () => {
  server = await startTestServer({
    '/plain': { data: DATA, ranges: false, etag: null, lastModified: LAST_MODIFIED },
    '/nameless': { data: DATA, ranges: false, length: false, etag: null },
    '/ranges': { data: DATA },
  });
  folder = await scratchFolder();
  steps = [];
  warnings = [];
  progress = {
    ...silentProgress,
    warn: (message) => warnings.push(message),
    step: (label, total) => {
      steps.push(`${label} ${total}`);
      return silentProgress.step(label);
    },
  };
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const options = (): Parameters<typeof openAnySource>[1] => ({
  http: FAST,
  scratchFor: join(folder.path, 'out.img'),
  progress,
});

/** What this process has open; a file without a name has ` (deleted)` behind its last one. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

describe('openAnySource', () => {
  it.each(['/plain', '/nameless'])(
    'downloads %s beside the output, into a file without a name',
    async (path) => {
      await using source = await openAnySource(`${server.url}${path}`, options());
      expect(source.name).toBe(`${server.url}${path}`);
      expect(await readdir(folder.path)).toEqual([]);
      expect(openFiles().filter((file) => file.startsWith(`${folder.path}/.out.img.`))).toHaveLength(1);
      expect(DATA.equals(await source.read(0, source.size))).toBe(true);
      await source[Symbol.asyncDispose]();
      expect(openFiles().filter((file) => file.startsWith(folder.path))).toEqual([]);
      expect(steps).toEqual([`Downloading the whole file ${path === '/plain' ? DATA.length : undefined}`]);
      const amount = path === '/plain' ? 'all of it (195 KiB)' : 'all of it, however much that is,';
      expect(warnings).toEqual([
        expect.stringContaining(
          `: ${amount} is downloaded first, to a file without a name in ${folder.path}`,
        ),
      ]);
    },
  );

  it('downloads into the temporary folder when there is no output file', async () => {
    vi.stubEnv('TMPDIR', folder.path);
    server.fault = () => ({ slowMs: 5 });
    await using source = await openAnySource(`${server.url}/plain`, { http: FAST });
    expect(await readdir(folder.path)).toEqual([]);
    expect(openFiles().filter((file) => file.startsWith(`${folder.path}/tsbuilder-`))).toHaveLength(1);
    expect(DATA.subarray(5, 99).equals(await source.read(5, 94))).toBe(true);
  });

  it('downloads nothing where ranges can be asked for, nor for a file', async () => {
    const path = join(folder.path, 'here');
    await writeFile(path, DATA);
    for (const input of [path, `${server.url}/ranges`]) {
      await using source = await openAnySource(input, options());
      expect(DATA.subarray(7, 11).equals(await source.read(7, 4))).toBe(true);
    }
    expect(steps).toEqual([]);
    expect(await readdir(folder.path)).toEqual(['here']);
  });

  it('leaves nothing behind when it is aborted or the download fails', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped by the test');
    server.fault = ({ method, headers }) =>
      method === 'GET' && headers.range === undefined ? { slowMs: 20 } : undefined;
    const watched: Progress = {
      ...progress,
      step: (label) => ({ ...silentProgress.step(label), advance: () => stop.abort(reason) }),
    };
    const aborted = openAnySource(`${server.url}/plain`, {
      ...options(),
      progress: watched,
      signal: stop.signal,
    });
    await expect(aborted).rejects.toBe(reason);
    expect(await readdir(folder.path)).toEqual([]);
    server.fault = ({ method, headers }) =>
      method === 'GET' && headers.range === undefined ? { status: 403 } : undefined;
    await expect(openAnySource(`${server.url}/plain`, options())).rejects.toMatchObject({
      code: 'TSB_HTTP_STATUS',
    });
    expect(await readdir(folder.path)).toEqual([]);
  });
});
