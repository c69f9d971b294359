import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import type { DiskSource } from '../../src/io/disk-source.js';
import { type MemoryConnection, connectInMemory, requestFrame, u32, u64 } from '../helpers/nbd-client.js';
import { damaged, memoryDisk, patterned, readOnly } from '../helpers/nbd-disk.js';

const [READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS] = [0, 1, 2, 3, 4, 5, 6, 7];
const MIB = 1024 * 1024;
const CONTENT = patterned(100_001);

interface Setup {
  disk: DiskSource;
  structured?: boolean;
  fastZero?: boolean;
  limits?: Parameters<typeof connectInMemory>[0]['limits'];
}

async function open({ disk, structured = true, fastZero, limits }: Setup): Promise<MemoryConnection> {
  const connection = connectInMemory({ exports: [{ name: 'disk', disk, fastZero }], limits });
  await connection.client.go('disk', { structured, allocation: structured });
  return connection;
}

const simple = (disk: DiskSource): Promise<MemoryConnection> => open({ disk, structured: false });

/** The error of one request without payload in the answer. */
async function errnoOf(connection: MemoryConnection, ...frame: Buffer[]): Promise<number> {
  connection.client.send(...frame);
  return (await connection.client.simple()).errno;
}

describe('READ with simple replies', () => {
  it('answers any range, whatever the order', async () => {
    const { client, counters } = await simple(readOnly(memoryDisk(CONTENT)));
    client.send(
      requestFrame({ type: READ, cookie: 1n, offset: 100_000, length: 1 }),
      requestFrame({ type: READ, cookie: 0xffff_ffff_ffff_fffen, offset: 0, length: 100_001 }),
    );
    expect(await client.simple()).toEqual({ errno: 0, cookie: 1n });
    expect(await client.take(1)).toEqual(CONTENT.subarray(100_000));
    expect(await client.simple()).toEqual({ errno: 0, cookie: 0xffff_ffff_ffff_fffen });
    expect(await client.take(100_001)).toEqual(CONTENT);
    expect(counters).toMatchObject({ requests: 2, errors: 0, bytesServed: 100_002, connections: 1 });
  });

  it.each([
    ['empty', { length: 0 }],
    ['past the end', { offset: 100_000, length: 2 }],
    ['far past the end', { offset: 2n ** 64n - 1n, length: 1 }],
    ['longer than the maximum', { length: 32 * MIB + 1 }],
    ['with DF', { length: 1, flags: 4 }],
    ['with FUA on a read-only export', { length: 1, flags: 1 }],
    ['with an unknown flag', { length: 1, flags: 0x8000 }],
  ])('refuses one that is %s', async (_, request) => {
    const connection = await simple(readOnly(memoryDisk(CONTENT)));
    expect(await errnoOf(connection, requestFrame({ type: READ, ...request }))).toBe(22);
    expect(connection.counters.errors).toBe(1);
    expect(await errnoOf(connection, requestFrame({ type: READ, length: 1 }))).toBe(0);
    expect(connection.lines).toEqual([]);
  });

  it('answers EIO where the disk is damaged, and goes on', async () => {
    const disk = damaged(memoryDisk(CONTENT), { offset: 5000, length: 1 });
    const connection = await simple(disk);
    expect(await errnoOf(connection, requestFrame({ type: READ, offset: 4096, length: 4096 }))).toBe(5);
    expect(connection.lines).toEqual(['disk: read of 4096 bytes at 4096: block 7 at 5000 is damaged']);
    expect(await errnoOf(connection, requestFrame({ type: READ, offset: 5001, length: 9 }))).toBe(0);
    expect(await connection.client.take(9)).toEqual(CONTENT.subarray(5001, 5010));
  });

  it('treats a disk that returns too little as damaged', async () => {
    const short = { ...readOnly(memoryDisk(CONTENT)), read: () => Promise.resolve(Buffer.alloc(3)) };
    const connection = await simple(short);
    expect(await errnoOf(connection, requestFrame({ type: READ, length: 4 }))).toBe(5);
    expect(connection.lines[0]).toContain('3 bytes came instead of 4');
  });
});

describe('READ with structured replies', () => {
  it('sends holes as holes and data in slices', async () => {
    const content = patterned(4 * MIB, [{ offset: 2 * MIB + 4096, length: MIB }]);
    const { client, counters } = await open({ disk: memoryDisk(content) });
    client.send(requestFrame({ type: READ, cookie: 9n, offset: 4096, length: 4 * MIB - 4096 }));
    const chunks = await client.chunks();
    expect(chunks.map(({ type, data }) => [type, Number(data.readBigUInt64BE(0)), data.length])).toEqual([
      [1, 4096, MIB - 4096 + 8],
      [1, MIB, MIB + 8],
      [1, 2 * MIB, 4096 + 8],
      [2, 2 * MIB + 4096, 12],
      [1, 3 * MIB + 4096, MIB - 4096 + 8],
    ]);
    expect(chunks.map(({ flags }) => flags)).toEqual([0, 0, 0, 0, 1]);
    expect(chunks.every(({ cookie }) => cookie === 9n)).toBe(true);
    expect(chunks[3]!.data.readUInt32BE(8)).toBe(MIB);
    expect(chunks[2]!.data.subarray(8)).toEqual(content.subarray(2 * MIB, 2 * MIB + 4096));
    expect(counters.bytesServed).toBe(4 * MIB - 4096);
  });

  it('does not fragment with DF', async () => {
    const content = patterned(4 * MIB, [{ offset: MIB, length: MIB }]);
    const { client } = await open({ disk: memoryDisk(content) });
    client.send(requestFrame({ type: READ, flags: 4, length: 4 * MIB }));
    const [whole, ...more] = await client.chunks();
    expect(more).toEqual([]);
    expect(whole!.data.subarray(8).equals(content)).toBe(true);
    client.send(requestFrame({ type: READ, flags: 4, offset: MIB, length: MIB }));
    const [hole] = await client.chunks();
    expect(hole).toMatchObject({ type: 2, flags: 1, data: Buffer.concat([u64(MIB), u32(MIB)]) });
  });

  it('sends what is good, and where the bad begins', async () => {
    const content = patterned(4 * MIB);
    const disk = damaged(memoryDisk(content), { offset: 2 * MIB + 300_000, length: 1 });
    const { client, lines, counters } = await open({ disk });
    client.send(requestFrame({ type: READ, length: 4 * MIB }));
    const chunks = await client.chunks();
    const error = chunks.pop()!;
    const bad = 2 * MIB + 4 * 65536;
    expect(Buffer.concat(chunks.map(({ data }) => data.subarray(8))).equals(content.subarray(0, bad))).toBe(
      true,
    );
    expect(error.type).toBe(0x8002);
    expect(error.data.readUInt32BE(0)).toBe(5);
    expect(error.data.subarray(-8)).toEqual(u64(bad));
    expect(lines).toEqual([`disk: read of 4194304 bytes at 0: block 7 at ${2 * MIB + 300_000} is damaged`]);
    expect(counters).toMatchObject({ requests: 1, errors: 1, bytesServed: bad });
    client.send(requestFrame({ type: READ, flags: 4, length: 4 * MIB }));
    expect((await client.chunks()).map(({ type, data }) => [type, data.subarray(-8)])).toEqual([
      [0x8002, u64(0)],
    ]);
  });

  it('goes on when a slice can be read at the second attempt', async () => {
    const content = patterned(2 * MIB);
    let failures = 0;
    const disk: DiskSource = {
      ...readOnly(memoryDisk(content)),
      read(offset, length) {
        if (failures++ === 0) return Promise.reject(new Error('once'));
        return Promise.resolve(content.subarray(offset, offset + length));
      },
    };
    const { client, lines } = await open({ disk });
    client.send(requestFrame({ type: READ, length: 2 * MIB }));
    const chunks = await client.chunks();
    expect(Buffer.concat(chunks.map(({ data }) => data.subarray(8))).equals(content)).toBe(true);
    expect(lines).toEqual([]);
  });

  it('answers errors in chunks', async () => {
    const { client } = await open({ disk: readOnly(memoryDisk(CONTENT)) });
    client.send(requestFrame({ type: READ, offset: 100_001, length: 1 }));
    const [error] = await client.chunks();
    expect(error).toMatchObject({ type: 0x8001, flags: 1 });
    expect(error!.data.readUInt32BE(0)).toBe(22);
  });

  it('reads as data what a disk knows nothing of', async () => {
    const disk = { ...readOnly(memoryDisk(CONTENT)), extents: () => Promise.reject(new Error('lost')) };
    const { client, lines } = await open({ disk });
    client.send(requestFrame({ type: READ, length: 100_001 }));
    expect((await client.chunks())[0]!.data.subarray(8)).toEqual(CONTENT);
    client.send(requestFrame({ type: STATUS, length: 4096 }));
    expect((await client.chunks())[0]!.data).toEqual(Buffer.concat([u32(1), u32(4096), u32(0)]));
    expect(lines).toEqual(['disk: extents of 4096 bytes at 0: lost']);
  });
});

describe('BLOCK_STATUS', () => {
  const content = patterned(10 * 4096 + 1, [
    { offset: 4096, length: 8192 },
    { offset: 40960, length: 1 },
  ]);

  async function status(
    connection: MemoryConnection,
    offset: number,
    length: number,
    flags = 0,
  ): Promise<number[][]> {
    connection.client.send(requestFrame({ type: STATUS, offset, length, flags }));
    const [chunk, ...more] = await connection.client.chunks();
    expect(more).toEqual([]);
    expect(chunk!.type).toBe(5);
    expect(chunk!.data.readUInt32BE(0)).toBe(1);
    return Array.from({ length: (chunk!.data.length - 4) / 8 }, (_, index) => [
      chunk!.data.readUInt32BE(4 + 8 * index),
      chunk!.data.readUInt32BE(8 + 8 * index),
    ]);
  }

  it('tells data from holes, inside the range', async () => {
    const connection = await open({ disk: memoryDisk(content) });
    expect(await status(connection, 0, content.length)).toEqual([
      [4096, 0],
      [8192, 3],
      [28672, 0],
      [1, 3],
    ]);
    expect(await status(connection, 5000, 100)).toEqual([[100, 3]]);
    expect(await status(connection, 0, content.length, 8)).toEqual([[4096, 0]]);
  });

  it('joins what a disk tells in parts, and keeps zero and hole apart', async () => {
    const disk: DiskSource = {
      ...readOnly(memoryDisk(content)),
      extents: (offset) => {
        const kind = offset < 3000 ? 'data' : offset < 6000 ? 'zero' : 'hole';
        return Promise.resolve([{ offset, length: Math.min(1000, content.length - offset), kind }]);
      },
    };
    expect(await status(await open({ disk }), 0, 9000)).toEqual([
      [3000, 0],
      [3000, 2],
      [3000, 3],
    ]);
  });

  it('has an end for a disk in crumbs', async () => {
    let questions = 0;
    const crumbs: DiskSource = {
      ...readOnly(memoryDisk(content)),
      size: 2 ** 40,
      extents: (offset) => {
        questions += 1;
        return Promise.resolve([{ offset, length: 1, kind: 'data' }]);
      },
    };
    expect(await status(await open({ disk: crumbs }), 0, 0xffffffff)).toEqual([[256, 0]]);
    expect(questions).toBe(256);
    const stripes: DiskSource = {
      ...crumbs,
      extents: (offset) =>
        Promise.resolve(
          Array.from({ length: 10_000 }, (_, index) => ({
            offset: offset + index,
            length: 1,
            kind: index % 2 ? ('data' as const) : ('hole' as const),
          })),
        ),
    };
    expect(await status(await open({ disk: stripes }), 0, 0xffffffff)).toHaveLength(4096);
  });

  it('does not believe extents of another range', async () => {
    for (const extent of [
      { offset: 1, length: 5, kind: 'hole' as const },
      { offset: 0, length: 4097, kind: 'hole' as const },
      { offset: 0, length: 0, kind: 'hole' as const },
    ]) {
      const disk = { ...readOnly(memoryDisk(content)), extents: () => Promise.resolve([extent]) };
      const connection = await open({ disk });
      expect(await status(connection, 0, 4096)).toEqual([[4096, 0]]);
      expect(connection.lines[0]).toContain('in answer for 0 to 4096');
    }
  });

  it('has to be agreed on, and to be inside the export', async () => {
    const without = connectInMemory({ exports: [{ name: 'disk', disk: memoryDisk(content) }] });
    await without.client.go('disk', { allocation: false });
    without.client.send(requestFrame({ type: STATUS, length: 1 }));
    expect((await without.client.chunks())[0]!.data.readUInt32BE(0)).toBe(22);
    const { client } = await open({ disk: memoryDisk(content) });
    for (const range of [
      { offset: 0, length: 0 },
      { offset: 0, length: content.length + 1 },
      { offset: content.length, length: 1 },
      { length: 1, flags: 2 },
    ]) {
      client.send(requestFrame({ type: STATUS, ...range }));
      expect((await client.chunks())[0]!.data.readUInt32BE(0)).toBe(22);
    }
  });

  it('counts only for the export it was chosen for', async () => {
    const disk = memoryDisk(content);
    const { client } = connectInMemory({ exports: ['a', 'b'].map((name) => ({ name, disk })) });
    await client.greet();
    await client.option(8);
    await client.option(
      10,
      Buffer.concat([u32(1), Buffer.from('b'), u32(1), u32(15), Buffer.from('base:allocation')]),
    );
    await client.option(7, Buffer.concat([u32(1), Buffer.from('a'), Buffer.alloc(2)]));
    client.send(requestFrame({ type: STATUS, length: 1 }));
    expect((await client.chunks())[0]!.data.readUInt32BE(0)).toBe(22);
  });
});

describe('writing', () => {
  it('changes the disk', async () => {
    const disk = memoryDisk(patterned(65536));
    const connection = await simple(disk);
    expect(
      await errnoOf(connection, requestFrame({ type: WRITE, offset: 7, length: 5 }), Buffer.from('hello')),
    ).toBe(0);
    expect(await errnoOf(connection, requestFrame({ type: ZEROES, offset: 4096, length: 4096 }))).toBe(0);
    expect(await errnoOf(connection, requestFrame({ type: ZEROES, flags: 2, offset: 8192, length: 1 }))).toBe(
      0,
    );
    expect(await errnoOf(connection, requestFrame({ type: TRIM, offset: 0, length: 5 }))).toBe(0);
    expect(disk.calls).toEqual(['zero 4096 4096 punch', 'zero 8192 1 keep', 'zero 0 5 punch']);
    expect(disk.content.subarray(0, 12)).toEqual(
      Buffer.from('\0\0\0\0\0' + '\x01' + '\0hello').fill(patterned(65536).subarray(5, 7), 5, 7),
    );
    expect(connection.counters).toMatchObject({ requests: 4, bytesWritten: 5, errors: 0 });
  });

  it('flushes when asked to', async () => {
    const disk = memoryDisk(patterned(65536));
    const connection = await simple(disk);
    expect(await errnoOf(connection, requestFrame({ type: FLUSH }))).toBe(0);
    expect(disk.flushes()).toBe(1);
    expect(
      await errnoOf(connection, requestFrame({ type: WRITE, flags: 1, length: 1 }), Buffer.from('x')),
    ).toBe(0);
    expect(await errnoOf(connection, requestFrame({ type: ZEROES, flags: 3, length: 1 }))).toBe(0);
    expect(await errnoOf(connection, requestFrame({ type: TRIM, flags: 1, length: 1 }))).toBe(0);
    expect(disk.flushes()).toBe(4);
    expect(await errnoOf(connection, requestFrame({ type: READ, flags: 1, length: 1 }))).toBe(0);
    await connection.client.take(1);
    expect(await errnoOf(connection, requestFrame({ type: FLUSH, length: 1 }))).toBe(22);
    expect(await errnoOf(connection, requestFrame({ type: FLUSH, offset: 1 }))).toBe(22);
  });

  it('stays inside the export and the limits', async () => {
    const disk = memoryDisk(Buffer.alloc(65536));
    const connection = await simple(disk);
    const byte = Buffer.from('x');
    expect(await errnoOf(connection, requestFrame({ type: WRITE, offset: 65536, length: 1 }), byte)).toBe(28);
    expect(await errnoOf(connection, requestFrame({ type: ZEROES, offset: 1, length: 65536 }))).toBe(28);
    expect(await errnoOf(connection, requestFrame({ type: TRIM, offset: 1, length: 65536 }))).toBe(22);
    expect(await errnoOf(connection, requestFrame({ type: WRITE, length: 0 }))).toBe(22);
    expect(await errnoOf(connection, requestFrame({ type: ZEROES, length: 0 }))).toBe(22);
    expect(await errnoOf(connection, requestFrame({ type: WRITE, flags: 16, length: 1 }), byte)).toBe(22);
    const huge = requestFrame({ type: WRITE, length: 32 * MIB + 1 });
    expect(await errnoOf(connection, huge, Buffer.alloc(32 * MIB + 1, 1))).toBe(22);
    expect(disk.content.every((value) => value === 0)).toBe(true);
    expect(disk.calls).toEqual([]);
  });

  it('is refused on a read-only export, data and all', async () => {
    const connection = await simple(readOnly(memoryDisk(CONTENT)));
    expect(
      await errnoOf(connection, requestFrame({ type: WRITE, length: 70_000 }), Buffer.alloc(70_000)),
    ).toBe(1);
    expect(await errnoOf(connection, requestFrame({ type: TRIM, length: 1 }))).toBe(1);
    expect(await errnoOf(connection, requestFrame({ type: ZEROES, length: 1 }))).toBe(1);
    expect(await errnoOf(connection, requestFrame({ type: FLUSH }))).toBe(22);
  });

  it('zeroes fast only where it can', async () => {
    const slow = await simple(memoryDisk(Buffer.alloc(4096)));
    expect(await errnoOf(slow, requestFrame({ type: ZEROES, flags: 16, length: 1 }))).toBe(22);
    const disk = memoryDisk(Buffer.alloc(4096));
    const fast = await open({ disk, structured: false, fastZero: true });
    expect(await errnoOf(fast, requestFrame({ type: ZEROES, flags: 16, length: 1 }))).toBe(0);
    expect(await errnoOf(fast, requestFrame({ type: ZEROES, flags: 18, length: 1 }))).toBe(95);
    expect(disk.calls).toEqual(['zero 0 1 punch']);
  });

  it('tells a full disk from a broken one', async () => {
    const fail = (error: Error) => ({
      ...memoryDisk(Buffer.alloc(4096)),
      write: () => Promise.reject(error),
      zero: () => Promise.reject(error),
      flush: () => Promise.reject(error),
    });
    for (const [error, errno] of [
      [new TsbuilderError('TSB_NO_SPACE', 'full'), 28],
      [Object.assign(new Error('full'), { code: 'ENOSPC' }), 28],
      [Object.assign(new Error('quota'), { code: 'EDQUOT' }), 28],
      [new Error('broken'), 5],
    ] as const) {
      const connection = await simple(fail(error));
      expect(await errnoOf(connection, requestFrame({ type: WRITE, length: 1 }), Buffer.from('x'))).toBe(
        errno,
      );
      expect(await errnoOf(connection, requestFrame({ type: TRIM, length: 1 }))).toBe(errno);
      expect(await errnoOf(connection, requestFrame({ type: FLUSH }))).toBe(errno);
      expect(connection.counters).toMatchObject({ bytesWritten: 0, errors: 3, requests: 3 });
      expect(connection.lines[0]).toBe(`disk: write of 1 bytes at 0: ${error.message}`);
    }
  });
});

describe('CACHE', () => {
  it('brings a range into the cache, where there is one', async () => {
    const fetched: number[][] = [];
    const disk: DiskSource = {
      ...readOnly(memoryDisk(CONTENT)),
      prefetch(offset, length) {
        fetched.push([offset, length]);
        return offset === 0 ? Promise.resolve() : Promise.reject(new Error('gone'));
      },
    };
    const connection = await simple(disk);
    expect(await errnoOf(connection, requestFrame({ type: CACHE, length: 100_001 }))).toBe(0);
    expect(await errnoOf(connection, requestFrame({ type: CACHE, offset: 1, length: 5 }))).toBe(5);
    expect(await errnoOf(connection, requestFrame({ type: CACHE, offset: 1, length: 100_001 }))).toBe(22);
    expect(fetched).toEqual([
      [0, 100_001],
      [1, 5],
    ]);
    const without = await simple(readOnly(memoryDisk(CONTENT)));
    expect(await errnoOf(without, requestFrame({ type: CACHE, length: 1 }))).toBe(22);
  });
});

describe('a connection', () => {
  it('refuses unknown commands and goes on', async () => {
    const connection = await open({ disk: memoryDisk(CONTENT) });
    for (const type of [8, 9, 255, 0xffff])
      expect(await errnoOf(connection, requestFrame({ type, length: 5 }))).toBe(22);
    await turn();
    expect(connection.counters).toMatchObject({ requests: 4, errors: 4 });
  });

  it('ends at DISC, with everything answered', async () => {
    const { client, served, lines } = await simple(memoryDisk(CONTENT));
    client.send(requestFrame({ type: READ, length: 100 }), requestFrame({ type: DISC }));
    expect((await client.simple()).errno).toBe(0);
    expect(await client.rest()).toEqual(CONTENT.subarray(0, 100));
    client.socket.end();
    await served;
    expect(lines).toEqual([]);
  });

  it('ends at once at what is no request', async () => {
    const { client, served, lines } = await simple(memoryDisk(CONTENT));
    client.send(Buffer.alloc(28, 0x41));
    expect(await client.rest()).toHaveLength(0);
    await served;
    expect(lines).toEqual([
      'connection closed: a request starts with 0x41414141, not with the magic of requests',
    ]);
  });

  it('limits what it writes to the log', async () => {
    let faults = 0;
    const disk = {
      ...readOnly(memoryDisk(CONTENT)),
      read: () => Promise.reject(new Error(`fault ${(faults += 1)}`)),
    };
    const connection = await simple(disk);
    for (let count = 0; count < 105; count++)
      expect(await errnoOf(connection, requestFrame({ type: READ, length: 1 }))).toBe(5);
    expect(connection.lines).toHaveLength(101);
    expect(connection.lines.at(-1)).toBe('further messages about this connection are left out');
  });

  it('tells once of a fault that many requests meet', async () => {
    const disk = damaged(memoryDisk(CONTENT), { offset: 0, length: 100_001 });
    const connection = connectInMemory({ exports: [{ name: '', disk }] });
    await connection.client.go('', { structured: false, allocation: false });
    for (let count = 0; count < 105; count++)
      expect(await errnoOf(connection, requestFrame({ type: READ, offset: count, length: 1 }))).toBe(5);
    expect(connection.lines).toEqual([expect.stringMatching(/^read of 1 bytes at 0: block 7/)]);
  });
});
