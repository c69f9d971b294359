import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../../src/io/exec.js';
import { newCounters } from '../../src/io/counters.js';
import { serveNbdConnection } from '../../src/nbd/nbd-server.js';
import { damaged, memoryDisk, patterned, readOnly } from '../helpers/nbd-disk.js';
import { type TestServer, startNbdServer } from '../helpers/nbd-unix-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const MIB = 1024 * 1024;
const CONTENT = patterned(24 * MIB, [
  { offset: 3 * MIB, length: 5 * MIB },
  { offset: 16 * MIB + 8192, length: 64 * 1024 },
]);
const ODD = patterned(MIB + 513);

let server: TestServer;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
const scratch = memoryDisk(Buffer.alloc(8 * MIB));

beforeAll(async () => {
  folder = await scratchFolder();
  server = await startNbdServer([
    { name: 'main', description: 'a disk', disk: readOnly(memoryDisk(CONTENT)) },
    { name: 'odd', disk: readOnly(memoryDisk(ODD)) },
    { name: 'scratch', disk: scratch, fastZero: true },
    { name: 'bad', disk: damaged(memoryDisk(CONTENT), { offset: 20 * MIB, length: 1 }) },
  ]);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

describe('nbdinfo', () => {
  it('sees what each export can do', async () => {
    const info = async (name: string): Promise<Record<string, unknown>> => {
      const { stdout } = await exec('nbdinfo', ['--json', server.uri(name)]);
      return (JSON.parse(stdout) as { exports: Record<string, unknown>[] }).exports[0]!;
    };
    expect(await info('main')).toMatchObject({
      'export-name': 'main',
      description: 'a disk',
      'export-size': 24 * MIB,
      contexts: ['base:allocation'],
      is_read_only: true,
      can_df: true,
      can_multi_conn: true,
      can_flush: false,
      can_trim: false,
      can_zero: false,
      can_cache: false,
      block_size_minimum: 1,
      block_size_maximum: 32 * MIB,
    });
    expect(await info('scratch')).toMatchObject({
      is_read_only: false,
      can_multi_conn: true,
      can_flush: true,
      can_fua: true,
      can_trim: true,
      can_zero: true,
      can_fast_zero: true,
    });
  });

  it('lists the exports', async () => {
    const { stdout } = await exec('nbdinfo', ['--json', '--list', server.uri()]);
    const { exports } = JSON.parse(stdout) as { exports: Record<string, unknown>[] };
    expect(exports.map((each) => [each['export-name'], each['export-size']])).toEqual([
      ['main', 24 * MIB],
      ['odd', MIB + 513],
      ['scratch', 8 * MIB],
      ['bad', 24 * MIB],
    ]);
  });

  it('maps what is known to be zero', async () => {
    const { stdout } = await exec('nbdinfo', ['--json', '--map', server.uri('main')]);
    const map = JSON.parse(stdout) as { offset: number; length: number; type: number }[];
    expect(map.map(({ offset, length, type }) => [offset, length, type])).toEqual([
      [0, 3 * MIB, 0],
      [3 * MIB, 5 * MIB, 3],
      [8 * MIB, 8 * MIB + 8192, 0],
      [16 * MIB + 8192, 65536, 3],
      [16 * MIB + 73728, 8 * MIB - 73728, 0],
    ]);
  });
});

describe('nbdcopy', () => {
  it.each([1, 2, 4, 8])('copies over %i connections', async (connections) => {
    const target = join(folder.path, `copy-${connections}.raw`);
    await exec('nbdcopy', [`--connections=${connections}`, server.uri('main'), target]);
    expect((await readFile(target)).equals(CONTENT)).toBe(true);
    expect((await stat(target)).blocks * 512).toBeLessThan(20 * MIB);
  });

  it('copies into an export, and a length that is no multiple of anything', async () => {
    const source = join(folder.path, 'source.raw');
    await writeFile(source, CONTENT.subarray(0, 8 * MIB));
    await exec('nbdcopy', ['--flush', source, server.uri('scratch')]);
    expect(scratch.content.equals(CONTENT.subarray(0, 8 * MIB))).toBe(true);
    expect(scratch.flushes()).toBeGreaterThan(0);
    const odd = join(folder.path, 'odd.raw');
    await exec('nbdcopy', [server.uri('odd'), odd]);
    expect((await readFile(odd)).equals(ODD)).toBe(true);
  });

  it('is told about damage', async () => {
    const target = join(folder.path, 'bad.raw');
    await expect(exec('nbdcopy', [server.uri('bad'), target])).rejects.toThrow('Input/output error');
    expect(server.lines.some((line) => line.includes('block 7 at 20971520 is damaged'))).toBe(true);
  });
});

describe('qemu', () => {
  it('converts and compares', async () => {
    const target = join(folder.path, 'converted.qcow2');
    const uri = server.uri('main');
    await exec('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', '-m', '8', '-W', uri, target]);
    await exec('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', uri, target]);
    const { stdout } = await exec('qemu-img', ['map', '--output=json', '-f', 'raw', uri]);
    const map = JSON.parse(stdout) as { start: number; length: number; data: boolean }[];
    expect(map.filter(({ data }) => !data).map(({ start, length }) => [start, length])).toEqual([
      [3 * MIB, 5 * MIB],
      [16 * MIB + 8192, 65536],
    ]);
    const info = await exec('qemu-img', ['info', '--output=json', '-f', 'raw', uri]);
    expect(JSON.parse(info.stdout)).toMatchObject({ 'virtual-size': 24 * MIB });
  });

  it('reads and writes', async () => {
    scratch.content.fill(0x11);
    const commands = [
      'write -P 0x42 1M 128k',
      'read -P 0x42 1M 128k',
      'write -f -P 0x43 512 512',
      'write -z 2M 1M',
      'write -z -u 4M 64k',
      'read -P 0 2M 1M',
      'discard 5M 1M',
      'flush',
      'read -P 0x11 3M 1M',
    ];
    const { stdout } = await exec('qemu-io', [
      ...['-f', 'raw', '--cache=none'],
      ...commands.flatMap((command) => ['-c', command]),
      server.uri('scratch'),
    ]);
    expect(stdout).not.toMatch(/failed|error/i);
    expect(scratch.content.subarray(MIB, MIB + 131072).every((byte) => byte === 0x42)).toBe(true);
    expect(scratch.content.subarray(512, 1024).every((byte) => byte === 0x43)).toBe(true);
    expect(scratch.content.subarray(2 * MIB, 3 * MIB).every((byte) => byte === 0)).toBe(true);
    expect(scratch.calls.some((call) => call.endsWith('keep'))).toBe(true);
    expect(scratch.calls.some((call) => call.endsWith('punch'))).toBe(true);
  });

  it('reads around damage', async () => {
    const { stdout } = await exec(
      'qemu-io',
      ['-f', 'raw', '-r', '-c', 'read 20M 4k', '-c', 'read 21M 4k', server.uri('bad')],
      { okStatus: [0, 1] },
    );
    expect(stdout).toContain('read failed: Input/output error');
    expect(stdout).toContain('read 4096/4096 bytes at offset 22020096');
  });
});

describe('nbd-client', () => {
  it('lists over TCP', async () => {
    const options = {
      exports: ['one', 'two'].map((name) => ({ name, disk: memoryDisk(Buffer.alloc(512)) })),
      defaultExport: 'one',
      log: () => undefined,
      counters: newCounters(),
    };
    const stop = new AbortController();
    const tcp = createServer((socket) => void serveNbdConnection(socket, options, stop.signal));
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const address = tcp.address();
    if (address === null || typeof address === 'string') throw new Error('no TCP address');
    try {
      const { stdout } = await exec('nbd-client', ['-l', '127.0.0.1', String(address.port)]);
      expect(stdout.split('\n')).toEqual(expect.arrayContaining(['one', 'two']));
    } finally {
      stop.abort();
      tcp.close();
    }
  });
});
