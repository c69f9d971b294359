import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { type XzIndex, readXzIndex } from '../../src/xz/xz-index.js';
import { debian12Repository } from '../helpers/debian12-repository.js';
import { type TestServer, startTestServer } from '../helpers/http-server.js';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'main.cjs');
/** Blocks that pack to less hold next to nothing. */
const DATA_BLOCK = 100_000;

let data: Buffer;
let index: XzIndex;

beforeAll(async () => {
  data = await readFile((await debian12Repository()).xzPath);
  index = await readXzIndex(bytesSource('template', data));
}, 1_800_000);

async function tsbuilder(...args: string[]): Promise<string> {
  return (await run(process.execPath, [MAIN, ...args])).stdout;
}

/** Bytes asked for by range requests; every request must have been one. */
function bytesRequested(http: TestServer): number {
  return http.requests.reduce((sum, { headers }) => {
    const match = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '');
    expect(match).not.toBeNull();
    return sum + Number(match?.[2]) - Number(match?.[1]) + 1;
  }, 0);
}

describe('the debian-12 template on a web server', () => {
  it('shows a file of the guest after less than a quarter of its bytes', async () => {
    await using http = await startTestServer({ '/debian-12.xz': { data } });
    const text = await tsbuilder('cat', `${http.url}/debian-12.xz`, '/etc/os-release');
    expect(text).toContain('VERSION_CODENAME=bookworm\n');
    expect(bytesRequested(http)).toBeLessThan(data.length / 4);
  }, 120_000);

  it('is served by one request a block, and none past its end', async () => {
    const blocks = [...index.blocks()].filter(({ totalSize }) => totalSize >= DATA_BLOCK).slice(3, 9);
    const reads = blocks.flatMap(({ uncompressedOffset: at }) => [at + 8192, at + 3 * 1024 ** 2, at + 100]);
    await using http = await startTestServer({ '/debian-12.xz': { data } });
    const script = `for at in [${reads.join(',')}]: h.pread(4096, at)`;
    const client = `PATH=/usr/bin:/bin nbdsh -u "$uri" -c '${script}'`;
    await tsbuilder('serve', `${http.url}/debian-12.xz`, '--jobs', '1', '--run', client);
    const touched = blocks.reduce((sum, { totalSize }) => sum + totalSize, 0);
    expect(http.requests.length).toBeLessThanOrEqual(blocks.length + 3);
    expect(bytesRequested(http)).toBeLessThanOrEqual(touched * 1.02);
  }, 120_000);
});
