import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Config } from '@oclif/core';
import { captureOutput } from '@oclif/test';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import Serve from '../../src/commands/serve.js';
import { openPidfile } from '../../src/serve/pidfile.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { resultOfText } from '../helpers/serve-program.js';

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let config: Config;

beforeEach(async () => {
  folder = await scratchFolder();
  config = await Config.load(join(import.meta.dirname, '../..'));
  await writeFile(at('disk.img'), Buffer.alloc(1024 * 1024, 'x'));
  await mkdir(at('tls'));
});
afterEach(async () => {
  process.exitCode = undefined;
  await folder[Symbol.asyncDispose]();
});

const at = (name: string): string => join(folder.path, name);

/** Runs the command with `--json`; its exit status and standard output. */
async function serve(...argv: string[]): Promise<{ status: unknown; stdout: string }> {
  process.exitCode = undefined;
  const { stdout, error } = await captureOutput(() => Serve.run([...argv, '--json'], config));
  if (error) throw error;
  return { status: process.exitCode, stdout };
}

async function failure(...argv: string[]): Promise<string> {
  const { status, stdout } = await serve(...argv);
  const { error } = JSON.parse(stdout) as { error: { code: string; exit: number; hint?: string } };
  expect(error.exit).toBe(status);
  return error.code;
}

describe('the serve command', () => {
  it.each([
    [[], 'TSB_USAGE'],
    [['disk.img', '--tcp', '127.0.0.1'], 'TSB_USAGE'],
    [['disk.img', '--tcp', '10809', '-U', '-'], 'TSB_USAGE'],
    [['disk.img', '--tls', 'require'], 'TSB_USAGE'],
    [['disk.img', '--tls-verify-peer'], 'TSB_USAGE'],
    [['disk.img', '--tls', 'off', '--tls-psk', 'keys'], 'TSB_USAGE'],
    [[''], 'TSB_USAGE'],
    [['nope.xz'], 'TSB_NOT_FOUND'],
    [['disk.img', '--run', 'true', '--exit-last'], 'TSB_USAGE'],
    [['disk.img', '--metrics', 'x'], 'TSB_USAGE'],
    [['disk.img', '--cache-size', 'much'], 'TSB_USAGE'],
    [['disk.img', 'disk.img', '-U', '-'], 'TSB_USAGE'],
    [['--export', 'disk.img'], 'TSB_USAGE'],
    [['disk.img', '--tls-certificates', 'tls'], 'TSB_TLS'],
    [['disk.img', '--tls-psk', 'disk.img'], 'TSB_TLS'],
    [['disk.img', '--tcp', '192.0.2.1:0'], 'TSB_LISTEN'],
    [['disk.img', '-U', 'disk.img'], 'TSB_LISTEN'],
    [['disk.img', '-U', 'none/s'], 'TSB_LISTEN'],
    [['disk.img', '--pidfile', 'disk.img', '-U', '-'], 'TSB_OUTPUT_EXISTS'],
    [['disk.img', '--partition', '3', '-U', '-'], 'TSB_PARTITION_NOT_FOUND'],
    [['disk.img', '--require-verified', '-U', '-'], 'TSB_NOT_VERIFIED'],
    [['missing.img', '-U', '-'], 'TSB_NOT_FOUND'],
  ])('refuses %j with %s', async (words, code) => {
    const argv = words.map((word) => (/^(disk.img|tls|none\/s|missing.img)$/.test(word) ? at(word) : word));
    expect(await failure(...argv)).toBe(code);
    expect((await readdir(folder.path)).sort()).toEqual(['disk.img', 'tls']);
  });

  it('says when an address is in use', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    expect(await failure(at('disk.img'), '--tcp', String(port))).toBe('TSB_LISTEN');
    await new Promise((done) => server.close(done));
  });

  it('refuses the pidfile of a running server', async () => {
    await using running = await openPidfile(at('pid'));
    await running.write();
    expect(await failure(at('disk.img'), '--pidfile', at('pid'), '-U', '-')).toBe('TSB_LOCKED');
    expect(await readFile(at('pid'), 'utf8')).toBe(`${process.pid}\n`);
  });

  it('tells what it serves, and ends with its command', async () => {
    const flags = ['--export', `b=${at('disk.img')}`, '--cow', '-U', at('s'), '--pidfile', at('pid')];
    const run = `test "$(cat ${at('pid')})" = ${process.pid} || exit 1; nbdinfo "$uri" >/dev/null || exit 2; exit 5`;
    const { status, stdout } = await serve(at('disk.img'), ...flags, '--run', run);
    expect(status).toBe(5);
    const [ready = ''] = stdout.split('\n');
    expect(JSON.parse(ready)).toMatchObject({
      ready: {
        uri: `nbd+unix:///?socket=${at('s')}`,
        exports: [
          { name: '', src: at('disk.img'), size: 1024 * 1024, format: 'raw', writable: true },
          { name: 'b', uri: `nbd+unix:///b?socket=${at('s')}` },
        ],
      },
    });
    expect(resultOfText(stdout)).toMatchObject({ status: 5, endedBy: 'command', stats: { connections: 1 } });
    expect((await readdir(folder.path)).sort()).toEqual(['disk.img', 'tls']);
  });
});
