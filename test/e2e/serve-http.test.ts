import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { exec } from '../../src/io/exec.js';
import { MIB } from '../helpers/disk.js';
import { type Desk, newDesk } from '../helpers/e2e.js';
import { noise } from '../helpers/e2e-template.js';
import { type SeenRequest, type TestServer, startTestServer } from '../helpers/http-server.js';
import { resultAfterReady, startServing } from '../helpers/serve-program.js';
import { xz } from '../helpers/xz.js';
import { cutIntoFrames, seekTable, seekableFile } from '../helpers/zstd-file.js';

vi.setConfig({ testTimeout: 60_000 });

/** Data, a hole, and data. */
const DISK = Buffer.concat([noise(3 * MIB, 'one'), Buffer.alloc(2 * MIB), noise(3 * MIB, 'two')]);

let desk: Desk;
let web: TestServer;
beforeEach(async () => {
  desk = await newDesk();
  web = await startTestServer();
});
afterEach(async () => {
  await web[Symbol.asyncDispose]();
  await desk[Symbol.asyncDispose]();
});

async function copy(uri: string): Promise<Buffer> {
  const out = join(desk.path, 'copy');
  await exec('nbdcopy', [uri, out]);
  const data = await readFile(out);
  await rm(out);
  return data;
}

const READ = `
import sys, nbd
h = nbd.NBD()
h.connect_uri(sys.argv[1])
try:
    print(h.pread(512, int(sys.argv[2])).hex())
except nbd.Error as error:
    print(error.errno)
`;

/** 512 bytes at `offset`, or the name of the error. */
async function read(uri: string, offset: number): Promise<Buffer | string> {
  const answer = (await exec('/usr/bin/python3', ['-c', READ, uri, String(offset)])).stdout.trim();
  return /^E/.test(answer) ? answer : Buffer.from(answer, 'hex');
}

/** The first and the last byte that each of `requests` asked for. */
const rangesOf = (requests: readonly SeenRequest[]): number[][] =>
  requests.map(({ headers }) => (headers.range ?? '').replace('bytes=', '').split('-').map(Number));

describe('serve of a seekable zstd file over HTTP', () => {
  it('asks for the frame that is read, and no byte of another', async () => {
    const frames = cutIntoFrames(DISK, MIB, { frame: true, table: true });
    web.files['/disk.zst'] = { data: seekableFile(frames, seekTable(frames)) };
    await using server = await startServing(desk, [`${web.url}/disk.zst`, '--tcp', '127.0.0.1:0']);
    expect(server.ready.exports[0]).toMatchObject({ format: 'zstd', size: DISK.length });
    const opened = web.requests.length;
    const at = 6 * MIB + 4321;
    expect(await read(server.ready.uri, at)).toEqual(DISK.subarray(at, at + 512));
    const begin = frames.slice(0, 6).reduce((sum, { frame }) => sum + frame.length, 0);
    const asked = rangesOf(web.requests.slice(opened));
    expect(asked).toHaveLength(1);
    for (const [first = 0, last = 0] of asked) {
      expect(first).toBeGreaterThanOrEqual(begin);
      expect(last).toBeLessThan(begin + (frames[6]?.frame.length ?? 0));
    }
    expect((await copy(server.ready.uri)).equals(DISK)).toBe(true);
    // The beginning and the end of the file, then each frame once.
    expect(web.requests.length).toBeLessThanOrEqual(frames.length + 3);
    expect((await server.stop()).status).toBe(0);
  });

  it('answers with an error what does not match the checksum of its frame, and the rest as it is', async () => {
    const frames = cutIntoFrames(DISK, MIB, { frame: true, table: true });
    const file = Buffer.from(seekableFile(frames, seekTable(frames)));
    const end = frames.slice(0, 2).reduce((sum, { frame }) => sum + frame.length, 0);
    file.writeUInt8(file.readUInt8(end - 1000) ^ 1, end - 1000);
    web.files['/disk.zst'] = { data: file };
    await using server = await startServing(desk, [`${web.url}/disk.zst`, '--tcp', '127.0.0.1:0']);
    expect(await read(server.ready.uri, 2 * MIB - 512)).toBe('EIO');
    expect(await read(server.ready.uri, 2 * MIB)).toEqual(DISK.subarray(2 * MIB, 2 * MIB + 512));
    const { status, stderr } = await server.stop();
    expect(status).toBe(0);
    expect(stderr).toMatch(/disk\.zst.*frame/);
  });
});

describe('serve of a URL that redirects', () => {
  const packed = xz(DISK, '-0', '--block-size=1MiB');
  /** Where the redirect leads, and which targets are good: nobody else's signature is. */
  let target = '';
  let good: string[] = [];

  beforeEach(() => {
    for (const path of ['/signed-1', '/signed-2', '/signed-3']) web.files[path] = { data: packed };
    web.fault = ({ path }) => {
      if (path === '/disk.xz') return { status: 302, headers: { location: target } };
      return good.includes(path) ? undefined : { status: 403 };
    };
    [target, good] = ['/signed-1', ['/signed-1']];
  });

  const asked = (path: string): number => web.requests.filter((request) => request.path === path).length;

  it('follows it once, and again when the target has expired', async () => {
    await using server = await startServing(desk, [`${web.url}/disk.xz`, '--tcp', '127.0.0.1:0']);
    expect(await read(server.ready.uri, 0)).toEqual(DISK.subarray(0, 512));
    expect([asked('/disk.xz'), asked('/signed-2')]).toEqual([1, 0]);
    [target, good] = ['/signed-2', ['/signed-2']];
    expect((await copy(server.ready.uri)).equals(DISK)).toBe(true);
    expect(asked('/signed-2')).toBeGreaterThanOrEqual(5);
    // Requests that were on their way together may all have met the end of the target.
    expect(asked('/disk.xz')).toBeLessThanOrEqual(5);
    const outcome = await server.stop();
    expect([outcome.status, outcome.stderr]).toEqual([0, '']);
    expect(resultAfterReady(outcome)).toMatchObject({ stats: { errors: 0 } });
  });

  it('fails the read while no target is good, and recovers', async () => {
    await using server = await startServing(desk, [`${web.url}/disk.xz`, '--tcp', '127.0.0.1:0']);
    expect(await read(server.ready.uri, 0)).toEqual(DISK.subarray(0, 512));
    good = [];
    expect(await read(server.ready.uri, 6 * MIB)).toBe('EIO');
    [target, good] = ['/signed-3', ['/signed-3']];
    expect(await read(server.ready.uri, 6 * MIB)).toEqual(DISK.subarray(6 * MIB, 6 * MIB + 512));
    const { status, stderr } = await server.stop();
    expect(status).toBe(0);
    expect(stderr).toContain('403');
  });

  it('never mixes two files: a new target with other content is an error', async () => {
    await using server = await startServing(desk, [`${web.url}/disk.xz`, '--tcp', '127.0.0.1:0']);
    expect(await read(server.ready.uri, 0)).toEqual(DISK.subarray(0, 512));
    web.files['/signed-2'] = { data: xz(noise(8 * MIB, 'other'), '-0', '--block-size=1MiB') };
    [target, good] = ['/signed-2', ['/signed-2']];
    expect(await read(server.ready.uri, 6 * MIB)).toBe('EIO');
    const { stderr } = await server.stop();
    expect(stderr).toMatch(/changed/);
  });
});
