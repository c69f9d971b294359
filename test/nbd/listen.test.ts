import { existsSync } from 'node:fs';
import { lstat, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { type Server, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { exec } from '../../src/io/exec.js';
import { type NbdAddress, type NbdListener, openNbdListener } from '../../src/nbd/listen.js';
import { takeActivationSockets } from '../../src/nbd/socket-activation.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const anyPort: NbdAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

/** Says `hello`, and ends when the client or the server ends. */
async function greet(socket: Duplex, signal: AbortSignal): Promise<void> {
  socket.write('hello');
  await new Promise<void>((done) => {
    socket.once('end', () => done()).once('close', () => done());
    socket.resume();
    if (signal.aborted) done();
    signal.addEventListener('abort', () => done(), { once: true });
  });
  socket.end();
}

const open = (address: NbdAddress) => openNbdListener(address, { serve: greet });
const fault = (work: Promise<NbdListener>) =>
  work.then(
    async (listener) => {
      await listener[Symbol.asyncDispose]();
      return 'no error';
    },
    (error: unknown) => `${(error as { code: string }).code}: ${(error as Error).message}`,
  );

/** What a listener says to whoever connects to its first address. */
async function greeting(listener: NbdListener): Promise<string> {
  const [endpoint] = listener.endpoints;
  if (!endpoint) throw new Error('no endpoint');
  const socket = endpoint.kind === 'unix' ? connect(endpoint.path) : connect(endpoint.port, endpoint.host);
  return new Promise((done, reject) => {
    socket.once('error', reject).once('data', (data: Buffer) => {
      socket.end();
      done(data.toString());
    });
  });
}

async function unixServer(path: string): Promise<Server> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(path, done));
  return server;
}

describe('on TCP', () => {
  it('takes a free port for 0 and tells it', async () => {
    await using listener = await open(anyPort);
    expect(listener.endpoints).toMatchObject([{ kind: 'tcp', host: '127.0.0.1', wildcard: false }]);
    expect(listener.exposed).toBe(false);
    expect(await greeting(listener)).toBe('hello');
  });

  it('knows when other machines can reach it', async () => {
    await using listener = await open({ kind: 'tcp', host: undefined, port: 0 });
    expect(listener.exposed).toBe(true);
    expect(listener.endpoints).toMatchObject([{ wildcard: true }]);
    expect(await greeting(listener)).toBe('hello');
  });

  it('says what is wrong with an address', async () => {
    await using listener = await open(anyPort);
    const [endpoint] = listener.endpoints;
    const port = endpoint?.kind === 'tcp' ? endpoint.port : 0;
    expect(await fault(open({ kind: 'tcp', host: '127.0.0.1', port }))).toBe(
      `TSB_LISTEN: cannot listen on 127.0.0.1:${port}: the address is in use`,
    );
    expect(await fault(open({ kind: 'tcp', host: '192.0.2.1', port: 0 }))).toBe(
      'TSB_LISTEN: cannot listen on 192.0.2.1:0: this machine has no such address',
    );
    expect(await fault(open({ kind: 'tcp', host: 'no-such-host.invalid', port: 0 }))).toMatch(
      /^TSB_LISTEN: cannot listen on no-such-host.invalid:0: /,
    );
  });

  it('lets connections finish when it closes, and takes no more', async () => {
    let finish = (): void => undefined;
    const listener = await openNbdListener(anyPort, {
      async serve(socket, signal) {
        await new Promise<void>((done) => signal.addEventListener('abort', () => done()));
        await new Promise<void>((done) => (finish = done));
        socket.end('the last reply');
      },
    });
    const [endpoint] = listener.endpoints;
    if (endpoint?.kind !== 'tcp') throw new Error('no endpoint');
    const socket = connect(endpoint.port, endpoint.host);
    await new Promise((done) => socket.once('connect', done));
    const text = new Promise<string>((done) => {
      let all = '';
      socket.on('data', (data: Buffer) => (all += data.toString())).once('close', () => done(all));
    });
    // The server must have seen the connection before it closes.
    await new Promise((done) => setTimeout(done, 50));
    const closed = listener[Symbol.asyncDispose]();
    await expect(greeting(listener)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    finish();
    await closed;
    expect(await text).toBe('the last reply');
  });

  it('cuts connections that do not finish, even while they write to nobody', async () => {
    const listener = await openNbdListener(anyPort, {
      drainMs: 50,
      serve: (socket) =>
        new Promise<void>((done) => {
          socket.once('close', () => done());
          socket.write(Buffer.alloc(64 * 1024 * 1024));
        }),
    });
    const [endpoint] = listener.endpoints;
    if (endpoint?.kind !== 'tcp') throw new Error('no endpoint');
    const socket = connect(endpoint.port, endpoint.host).on('error', () => undefined);
    socket.pause();
    await new Promise((done) => socket.once('connect', done));
    await listener[Symbol.asyncDispose]();
    await new Promise((done) => socket.resume().once('close', done));
    expect(socket.bytesRead).toBeLessThan(64 * 1024 * 1024);
  });

  it('tells when the last client has gone, and survives resets and failures', async () => {
    let idle = 0;
    await using listener = await openNbdListener(anyPort, {
      serve: async (socket, signal) => {
        await greet(socket, signal);
        throw new Error('a fault of the server');
      },
      onIdle: () => (idle += 1),
    });
    await greeting(listener);
    await expect.poll(() => idle).toBe(1);
    const [endpoint] = listener.endpoints;
    if (endpoint?.kind !== 'tcp') throw new Error('no endpoint');
    const socket = connect(endpoint.port, endpoint.host);
    await new Promise((done) => socket.once('data', done));
    socket.resetAndDestroy();
    expect(await greeting(listener)).toBe('hello');
    await expect.poll(() => idle).toBeGreaterThanOrEqual(2);
  });
});

describe('on a Unix socket', () => {
  it('has a private folder that goes with it', async () => {
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith('tsbuilder-nbd-'));
    const listener = await open({ kind: 'unix', path: undefined });
    const [endpoint] = listener.endpoints;
    if (endpoint?.kind !== 'unix') throw new Error('no endpoint');
    const folder = join(endpoint.path, '..');
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect(await greeting(listener)).toBe('hello');
    await listener[Symbol.asyncDispose]();
    expect(existsSync(folder)).toBe(false);
    expect((await readdir(tmpdir())).filter((name) => name.startsWith('tsbuilder-nbd-'))).toEqual(before);
  });

  it('removes the private folder of a process that has died', async () => {
    const listener = await open({ kind: 'unix', path: undefined });
    const [endpoint] = listener.endpoints;
    await listener[Symbol.asyncDispose]();
    if (endpoint?.kind !== 'unix') throw new Error('no endpoint');
    const mine = join(endpoint.path, '..');
    // The same name but for the start time: a process of this number that is no more.
    const dead = mine.replace(/-(\d+)-([0-9a-f]{16}-)/, '-1-$2');
    expect(dead).not.toBe(mine);
    await mkdir(dead);
    (await unixServer(join(dead, 'nbd.sock'))).unref();
    await open({ kind: 'unix', path: undefined }).then((next) => next[Symbol.asyncDispose]());
    expect(existsSync(dead)).toBe(false);
  });

  it('listens on a path and removes the socket afterwards', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'a b.sock');
    {
      await using listener = await open({ kind: 'unix', path });
      expect(listener.endpoints).toEqual([{ kind: 'unix', path }]);
      expect(listener.exposed).toBe(false);
      expect(await greeting(listener)).toBe('hello');
      expect(await fault(open({ kind: 'unix', path }))).toBe(
        `TSB_LISTEN: ${path}: another server is listening on this socket`,
      );
      expect((await lstat(path)).isSocket()).toBe(true);
    }
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('takes the place of a socket that nobody listens to', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 's');
    await exec('/usr/bin/python3', [
      '-c',
      'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])',
      path,
    ]);
    await using listener = await open({ kind: 'unix', path });
    expect(await greeting(listener)).toBe('hello');
  });

  it('leaves what is no socket alone, and refuses paths that cannot be', async () => {
    await using folder = await scratchFolder();
    const file = join(folder.path, 'file');
    const link = join(folder.path, 'link');
    await writeFile(file, 'mine');
    await symlink('nowhere', link);
    for (const path of [file, link, folder.path])
      expect(await fault(open({ kind: 'unix', path }))).toBe(
        `TSB_LISTEN: ${path}: exists and is not a socket`,
      );
    expect((await stat(file)).size).toBe(4);
    const long = join(folder.path, 'x'.repeat(108 - folder.path.length - 1));
    expect(await fault(open({ kind: 'unix', path: long }))).toBe(
      `TSB_LISTEN: ${long}: the absolute path of the socket has 108 bytes; the system allows 107`,
    );
    await using listener = await open({ kind: 'unix', path: long.slice(0, -1) });
    expect(await greeting(listener)).toBe('hello');
    expect(await fault(open({ kind: 'unix', path: join(folder.path, 'no', 's') }))).toMatch(
      /^TSB_LISTEN: .*the folder of the socket cannot be used: ENOENT/,
    );
  });

  it('lets exactly one of many have a name', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 's');
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => open({ kind: 'unix', path })));
    const listeners = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(listeners).toHaveLength(1);
    for (const listener of listeners) {
      expect(await greeting(listener)).toBe('hello');
      await listener[Symbol.asyncDispose]();
    }
  });
});

describe('takeActivationSockets', () => {
  it('takes nothing that is for another process, and removes the variables', () => {
    const env = { LISTEN_FDS: '1', LISTEN_PID: '1', LISTEN_FDNAMES: 'x', PATH: '/bin' };
    expect(takeActivationSockets(env, process.pid)).toEqual([]);
    expect(env).toEqual({ PATH: '/bin' });
    expect(takeActivationSockets({}, process.pid)).toEqual([]);
    expect(takeActivationSockets({ LISTEN_FDS: '1' }, process.pid)).toEqual([]);
  });

  it.each(['0', '-1', 'x', '65', '99999999999', ''])('refuses LISTEN_FDS=%s', (count) => {
    const env = { LISTEN_FDS: count, LISTEN_PID: String(process.pid) };
    expect(() => takeActivationSockets(env, process.pid)).toThrow(
      expect.objectContaining({ code: 'TSB_LISTEN' }),
    );
  });

  it('refuses descriptors that are no sockets', () => {
    const env = { LISTEN_FDS: '64', LISTEN_PID: String(process.pid) };
    expect(() => takeActivationSockets(env, process.pid)).toThrow(
      expect.objectContaining({
        code: 'TSB_LISTEN',
        message: expect.stringContaining('it is none') as string,
      }),
    );
  });
});
