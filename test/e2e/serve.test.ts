import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { exec } from '../../src/io/exec.js';
import { MIB, makeDisk } from '../helpers/disk.js';
import { type Desk, failureOf, litter, newDesk } from '../helpers/e2e.js';
import { noise } from '../helpers/e2e-template.js';
import { startTestServer } from '../helpers/http-server.js';
import { resultAfterReady, startServing } from '../helpers/serve-program.js';
import { type TlsFiles, makeTlsFiles } from '../helpers/tls-files.js';

vi.setConfig({ testTimeout: 60_000 });

const SIZE = 12 * MIB;
/** The second partition, in sectors. */
const PART = { start: 8192, length: 4096 };
const PROGRAM = join(import.meta.dirname, '..', '..', 'dist', 'main.cjs');

let desk: Desk;
let tls: TlsFiles;
let disk: Buffer;
const names = ['disk.img', 'disk.img.xz', 'tls'];

beforeAll(async () => {
  desk = await newDesk();
  const path = desk.file('disk.img');
  makeDisk(path, SIZE, `label: gpt\nstart=2048,size=4096\nstart=${PART.start},size=${PART.length}\n`);
  disk = readFileSync(path);
  noise(3 * MIB, 'serve').copy(disk, PART.start * 512 - MIB);
  writeFileSync(path, disk);
  await exec('xz', ['-k', '--block-size=1MiB', path]);
  await exec('mkdir', [desk.file('tls')]);
  tls = await makeTlsFiles(desk.file('tls'));
});
afterAll(() => desk[Symbol.asyncDispose]());

async function copy(uri: string): Promise<Buffer> {
  const out = join(desk.path, `copy-${Math.random()}`);
  await exec('nbdcopy', [uri, out]);
  const data = await readFile(out);
  await rm(out);
  return data;
}

const sizeOf = async (uri: string): Promise<number> =>
  Number((await exec('nbdinfo', ['--size', uri])).stdout);

describe('serve', () => {
  it('listens on TCP, says so, and ends with status 0 on SIGTERM', async () => {
    const port = await freePort();
    const running = desk.start([
      'serve',
      'disk.img.xz',
      '--tcp',
      String(port),
      '--pidfile',
      'pid',
      '--stats',
    ]);
    const uri = `nbd://127.0.0.1:${port}/`;
    await expect.poll(() => existsSync(desk.file('pid')), { timeout: 20_000 }).toBe(true);
    expect((await copy(uri)).equals(disk)).toBe(true);
    expect(readFileSync(desk.file('pid'), 'utf8')).toBe(`${running.child.pid}\n`);
    running.child.kill('SIGUSR1');
    running.child.kill('SIGTERM');
    const { status, stdout, stderr } = await running.ended;
    expect(status).toBe(0);
    expect(stdout.toString()).toMatch(
      new RegExp(
        `^${uri}\n  \\S*disk.img.xz: 12 MiB, xz, read-only\n  only the integrity checks .* protect the data\n$`,
      ),
    );
    expect(stderr.match(/^ {2}bytes served +\d/gm)?.length).toBeGreaterThanOrEqual(1);
    expect(await litter(desk, names)).toEqual([]);
  });

  it('prints a ready line and a result as JSON', async () => {
    await using server = await startServing(desk, ['disk.img.xz', '-U', 's.sock']);
    expect(server.ready).toMatchObject({
      pid: server.child.pid,
      uri: `nbd+unix:///?socket=${desk.file('s.sock')}`,
      tls: 'off',
      exports: [{ name: '', size: SIZE, format: 'xz', writable: false }],
    });
    expect((await copy(server.ready.uri)).equals(disk)).toBe(true);
    const outcome = await server.stop('SIGINT');
    expect(outcome.status).toBe(0);
    expect(resultAfterReady(outcome)).toMatchObject({ status: 0, endedBy: 'signal', stats: { errors: 0 } });
    expect(await litter(desk, names)).toEqual([]);
  });

  it('serves several exports, which clients can list', async () => {
    await using server = await startServing(desk, [
      'disk.img',
      'disk.img.xz',
      '--export',
      'a b/c=disk.img',
      '-U',
      '-',
    ]);
    const { stdout } = await exec('nbdinfo', ['--list', '--json', server.ready.uri]);
    const listed = JSON.parse(stdout) as { exports: { 'export-name': string; description: string }[] };
    expect(listed.exports.map((entry) => entry['export-name'])).toEqual(['disk.img', 'disk.img.xz', 'a b/c']);
    for (const entry of [{ uri: server.ready.uri }, ...server.ready.exports]) {
      expect((await copy(entry.uri)).equals(disk)).toBe(true);
    }
    const unknown = server.ready.uri.replace('///', '///nothing');
    await expect(exec('nbdinfo', [unknown])).rejects.toMatchObject({ code: 'TSB_TOOL_FAILED' });
  });

  it('serves one partition, of a remote image too', async () => {
    await using web = await startTestServer({ '/d.xz': { data: readFileSync(desk.file('disk.img.xz')) } });
    await using server = await startServing(desk, [
      `${web.url}/d.xz`,
      '--partition',
      '2',
      '--tcp',
      '127.0.0.1:0',
    ]);
    const data = await copy(server.ready.uri);
    expect(data.equals(disk.subarray(PART.start * 512, (PART.start + PART.length) * 512))).toBe(true);
  });

  it('gives each server a disk to write to with --cow, and throws it away', async () => {
    await using server = await startServing(desk, ['disk.img.xz', '--cow', '-U', '-']);
    const write = ['-f', 'raw', server.ready.uri, '-c', 'write -P 0xab 1M 1M', '-c', 'read -P 0xab 1M 1M'];
    await exec('qemu-io', write);
    const changed = Buffer.from(disk);
    changed.fill(0xab, MIB, 2 * MIB);
    expect((await copy(server.ready.uri)).equals(changed)).toBe(true);
    await server.stop();
    expect(readFileSync(desk.file('disk.img')).equals(disk)).toBe(true);
    expect(await litter(desk, names)).toEqual([]);
  });
});

describe('serve --run', () => {
  it('gives the command its variables and ends with its status', async () => {
    const show =
      'nbdinfo --size "$uri"; qemu-img info "$nbd" >/dev/null || exit 1; echo "$unixsocket|$port|$exportname"; exit 7';
    const { status, stdout } = await desk.run(['serve', '--export', 'x=disk.img.xz', '--run', show]);
    expect(stdout.toString()).toMatch(new RegExp(`^${SIZE}\n/.*/nbd.sock\\|\\|x\n$`));
    expect(status).toBe(7);
    expect(await litter(desk, names)).toEqual([]);
  });

  it('listens where it is told to', async () => {
    const { stdout } = await desk.run([
      'serve',
      'disk.img',
      '--tcp',
      '[::1]:0',
      '--run',
      'nbdinfo --size "$uri"; echo "$uri|$nbd|$port"',
    ]);
    expect(stdout.toString()).toMatch(/^12582912\nnbd:\/\/\[::1\]:(\d+)\/\|nbd:\[::1\]:\1\|\1\n$/);
  });

  it('keeps standard output for JSON with --json', async () => {
    const outcome = await desk.run(['serve', 'disk.img', '--json', '--run', 'echo from the command; exit 3']);
    expect(outcome.status).toBe(3);
    expect(resultAfterReady(outcome)).toMatchObject({ status: 3, endedBy: 'command' });
    expect(outcome.stderr).toContain('from the command\n');
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('ends the command when it is ended itself by %s', async (signal, status) => {
    const running = desk.start(['serve', 'disk.img', '--run', 'echo $$; sleep 60; echo not reached']);
    let text = '';
    running.child.stdout?.on('data', (data: Buffer) => (text += data.toString()));
    await expect.poll(() => text, { timeout: 20_000 }).toMatch(/\d+\n/);
    running.child.kill(signal);
    expect((await running.ended).status).toBe(status);
    expect(text).toMatch(/^\d+\n$/);
    expect(existsSync(`/proc/${text.trim()}`)).toBe(false);
    expect(await litter(desk, names)).toEqual([]);
  });
});

describe('serve over TLS', () => {
  it('gives the right URI for certificates and for keys', async () => {
    const run = ['--run', 'echo "$uri"; nbdinfo --size "$uri"'];
    const keys = await desk.run(['serve', 'disk.img', '--tls-psk', tls.psk, ...run]);
    expect(keys.stdout.toString()).toMatch(
      /^nbds\+unix:\/\/alice@\/\?socket=\S+&tls-psk-file=\S+\/keys.psk\n12582912\n$/,
    );
    const certificates = ['--tls-certificates', 'tls/server', '--tcp', '127.0.0.1:0'];
    const certified = await desk.run(['serve', 'disk.img', ...certificates, ...run]);
    expect(certified.stdout.toString()).toMatch(
      /^nbds:\/\/127\.0\.0\.1:\d+\/\?tls-certificates=\S+\/tls\/server\n12582912\n$/,
    );
  });

  it('refuses a client without TLS, and one without a certificate with --tls-verify-peer', async () => {
    const flags = ['--tls-certificates', tls.server, '--tls-verify-peer', '-U', 's.sock'];
    await using server = await startServing(desk, ['disk.img.xz', ...flags]);
    expect(server.ready.tls).toBe('require');
    const plain = `nbd+unix:///?socket=${desk.file('s.sock')}`;
    const secure = (folder: string): string =>
      plain.replace('nbd', 'nbds').concat(`&tls-certificates=${folder}`);
    expect((await copy(secure(tls.client))).equals(disk)).toBe(true);
    await expect(exec('nbdcopy', [plain, 'null:'])).rejects.toMatchObject({ code: 'TSB_TOOL_FAILED' });
    await expect(exec('nbdcopy', [secure(tls.anonymous), 'null:'])).rejects.toMatchObject({
      code: 'TSB_TOOL_FAILED',
    });
    expect(await sizeOf(secure(tls.client))).toBe(SIZE);
  });

  it('serves both with --tls allow', async () => {
    await using server = await startServing(desk, [
      'disk.img',
      '--tls',
      'allow',
      '--tls-psk',
      tls.psk,
      '-U',
      '-',
    ]);
    expect(server.ready.uri).toMatch(/^nbd\+unix:/);
    expect(await sizeOf(server.ready.uri)).toBe(SIZE);
    const secure = server.ready.uri.replace('nbd+unix://', 'nbds+unix://alice@');
    expect(await sizeOf(`${secure}&tls-psk-file=${tls.psk}`)).toBe(SIZE);
  });
});

describe('serve on sockets it is given', () => {
  it('is started by libnbd', async () => {
    const command = [
      '[',
      process.execPath,
      PROGRAM,
      'serve',
      desk.file('disk.img.xz'),
      '--exit-with-parent',
      ']',
    ];
    expect((await exec('nbdinfo', ['--size', '--', ...command], { env: desk.env })).stdout.trim()).toBe(
      String(SIZE),
    );
    const out = join(desk.path, 'copied');
    await exec('nbdcopy', ['--', ...command, out], { env: desk.env });
    expect((await readFile(out)).equals(disk)).toBe(true);
  });

  it('is started by systemd, on TCP and on a Unix socket', async () => {
    const port = await freePort();
    const path = desk.file('a.sock');
    const wrapper = ['systemd-socket-activate', '-l', `127.0.0.1:${port}`, '-l', path];
    const serving = startServing(desk, ['disk.img.xz'], { wrapper });
    // The first connection is what makes systemd start it.
    await expect.poll(() => existsSync(path), { timeout: 20_000 }).toBe(true);
    expect((await copy(`nbd+unix:///?socket=${path}`)).equals(disk)).toBe(true);
    await using server = await serving;
    expect(server.ready.uri).toBe(`nbd://127.0.0.1:${port}/`);
    expect((await copy(server.ready.uri)).equals(disk)).toBe(true);
    expect((await server.stop()).status).toBe(0);
    await rm(path, { force: true });
  });

  it('does not hand them to its command, and wants no second address', async () => {
    const wrapper = ['/usr/bin/python3', '-c', PASS_SOCKET];
    const run = ['--run', 'echo "$LISTEN_FDS$LISTEN_PID|$uri"; readlink /proc/$$/fd/3 || echo closed'];
    const { stdout, stderr } = await desk.run(['serve', 'disk.img', ...run], { wrapper });
    expect(stderr).toBe('');
    expect(stdout.toString()).toMatch(/^\|nbd:\/\/127\.0\.0\.1:\d+\/\nclosed\n$/);
    const refused = await desk.run(['serve', 'disk.img', '-U', '-', '--json'], { wrapper });
    expect(failureOf(refused).summary).toBe('2 TSB_USAGE');
  });
});

describe('the end of serve', () => {
  it('answers what is in flight after SIGTERM, and takes nothing new', async () => {
    await using web = await startTestServer({ '/d.xz': { data: readFileSync(desk.file('disk.img.xz')) } });
    await using server = await startServing(desk, [`${web.url}/d.xz`, '-U', 's.sock', '--pidfile', 'pid']);
    const opened = web.requests.length;
    web.fault = () => ({ slowMs: 40 });
    const reader = exec('/usr/bin/python3', ['-c', READ_SLOWLY, server.ready.uri]);
    await expect.poll(() => web.requests.length).toBeGreaterThan(opened);
    const ended = server.stop();
    const { stdout } = await reader;
    expect(stdout).toBe(disk.subarray(PART.start * 512, PART.start * 512 + 16).toString('hex'));
    const outcome = await ended;
    expect(outcome.status).toBe(0);
    expect(resultAfterReady(outcome)).toMatchObject({ stats: { errors: 0 } });
    expect(await litter(desk, names)).toEqual([]);
  });

  it('comes at once with a second signal, and leaves nothing behind', async () => {
    await using web = await startTestServer({ '/d.xz': { data: readFileSync(desk.file('disk.img.xz')) } });
    const flags = ['-U', '-', '--pidfile', 'pid', '--cow'];
    await using server = await startServing(desk, [`${web.url}/d.xz`, ...flags]);
    const opened = web.requests.length;
    web.fault = () => ({ hangAfter: 0 });
    const reader = exec('/usr/bin/python3', ['-c', READ_SLOWLY, server.ready.uri]).catch(() => undefined);
    await expect.poll(() => web.requests.length).toBeGreaterThan(opened);
    process.kill(server.ready.pid, 'SIGTERM');
    await new Promise((done) => setTimeout(done, 100));
    expect((await server.stop()).status).toBe(130);
    await reader;
    expect(await litter(desk, names)).toEqual([]);
  });

  it('comes with that of the parent, even when it is killed', async () => {
    const command = '"$0" "$@" & echo $! >child; wait; exec sleep 60';
    const args = [process.execPath, PROGRAM, 'serve', 'disk.img.xz', '-U', 's.sock', '--exit-with-parent'];
    const parent = spawn('/bin/sh', ['-c', command, ...args], {
      cwd: desk.work,
      env: desk.env,
      stdio: 'ignore',
    });
    await expect.poll(() => existsSync(desk.file('s.sock')), { timeout: 20_000 }).toBe(true);
    const child = readFileSync(desk.file('child'), 'utf8').trim();
    expect(await sizeOf(`nbd+unix:///?socket=${desk.file('s.sock')}`)).toBe(SIZE);
    parent.kill('SIGKILL');
    await expect.poll(() => existsSync(`/proc/${child}`), { timeout: 20_000 }).toBe(false);
    expect(await litter(desk, [...names, 'child'])).toEqual([]);
    await rm(desk.file('child'));
  });

  it('comes with that of the last client', async () => {
    await using server = await startServing(desk, ['disk.img', '-U', '-', '--exit-last']);
    expect(await sizeOf(server.ready.uri)).toBe(SIZE);
    const outcome = await server.ended;
    expect(outcome.status).toBe(0);
    expect(resultAfterReady(outcome)).toMatchObject({ endedBy: 'last client', stats: { connections: 1 } });
  });

  it('is an interruption while it is not ready yet', async () => {
    await using web = await startTestServer({ '/d.xz': { data: readFileSync(desk.file('disk.img.xz')) } });
    web.fault = () => ({ hangAfter: -1 });
    const running = desk.start(['serve', `${web.url}/d.xz`, '-U', 's.sock', '--pidfile', 'pid', '--json']);
    await expect.poll(() => web.requests.length, { timeout: 20_000 }).toBeGreaterThan(0);
    running.child.kill('SIGTERM');
    expect(failureOf(await running.ended).summary).toBe('130 TSB_INTERRUPTED');
    expect(await litter(desk, names)).toEqual([]);
  });
});

describe('what serve tells', () => {
  it('has metrics and a warning when other machines can connect', async () => {
    const flags = ['--tcp', '*:0', '--metrics', '127.0.0.1:0'];
    await using server = await startServing(desk, ['disk.img', ...flags]);
    expect(await sizeOf(server.ready.uri)).toBe(SIZE);
    const text = await (await fetch(server.ready.metrics ?? '')).text();
    expect(text).toMatch(/^tsbuilder_nbd_connections_total 1$/m);
    const { stderr } = await server.stop();
    expect(stderr).toContain('other machines can reach this server, which speaks no TLS');
  });
});

/** Reads 1 MiB from where the second partition begins and prints the first 16 bytes in hex. */
const READ_SLOWLY = `
import sys, nbd
h = nbd.NBD()
h.connect_uri(sys.argv[1])
sys.stdout.write(h.pread(1024 * 1024, ${PART.start * 512})[:16].hex())
`;

/** Passes a listening socket as systemd does, and becomes the program of its arguments. */
const PASS_SOCKET = `
import os, socket, sys
listener = socket.create_server(('127.0.0.1', 0))
os.dup2(listener.fileno(), 3, inheritable=True) if listener.fileno() != 3 else os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
`;

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
