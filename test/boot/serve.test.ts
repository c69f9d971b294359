import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestRepository, debian12Repository } from '../helpers/debian12-repository.js';
import { startTestServer } from '../helpers/http-server.js';
import { bootUntil } from '../helpers/qemu.js';

const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'main.cjs');

let repository: TestRepository;
let folder: string;

beforeAll(async () => {
  repository = await debian12Repository();
  folder = await mkdtemp(join(tmpdir(), 'tsb-boot-serve-'));
}, 1_800_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The built program serving `source`; disposing it ends the server as a user would and waits for it. */
async function serve(source: string, ...options: string[]): Promise<AsyncDisposable & { uri: string }> {
  const socket = join(folder, 'nbd.sock');
  const child = spawn(process.execPath, [MAIN, 'serve', source, '--unix', socket, '--json', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [ready] = (await once(createInterface(child.stdout), 'line')) as [string];
  expect(ready).toContain(socket);
  return {
    uri: `nbd+unix:///?socket=${socket}`,
    async [Symbol.asyncDispose]() {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      await closed;
      expect(child.exitCode).toBe(0);
    },
  };
}

describe('a disk that is never downloaded', () => {
  it('boots over HTTP from its compressed file, writing to a throw-away overlay', async () => {
    const data = await readFile(repository.xzPath);
    await using http = await startTestServer({ '/debian-12.xz': { data } });
    await using server = await serve(`${http.url}/debian-12.xz`, '--cow');
    const { stdout } = await promisify(execFile)('nbdinfo', ['--json', server.uri]);
    expect(JSON.parse(stdout)).toMatchObject({
      exports: [{ 'export-size': 4 * 1024 ** 3, is_read_only: false }],
    });
    const { console } = await bootUntil({ path: server.uri, format: 'raw', write: true }, /^debian login: /m);
    expect(console).toContain('Debian GNU/Linux 12 debian ttyS0');
    expect(console).not.toMatch(/FAILED|emergency mode|I\/O error/);
    const ranges = http.requests.map(({ headers }) => headers.range ?? 'all');
    expect(ranges).not.toContain('all');
    expect((await stat(repository.xzPath)).size).toBe(data.length);
  }, 900_000);
});
