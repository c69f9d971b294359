import { describe, expect, it } from 'vitest';
import type { DiskSource } from '../../src/io/disk-source.js';
import { memoryDisk, patterned, readOnly } from '../helpers/nbd-disk.js';
import {
  type MemoryConnection,
  connectInMemory,
  infoRequest,
  metaQuery,
  optionFrame,
  u16,
  u32,
  u64,
} from '../helpers/nbd-client.js';

const UNSUP = 0x80000001;
const INVALID = 0x80000003;
const UNKNOWN = 0x80000006;

const disk = readOnly(memoryDisk(patterned(100_000)));
const caching: DiskSource = { ...disk, prefetch: () => Promise.resolve() };
const EXPORTS = [
  { name: 'first', disk, description: 'the first' },
  { name: 'zweite ä', disk: memoryDisk(patterned(8192)) },
  { name: 'cached', disk: caching },
];

async function greeted(flags = 3): Promise<MemoryConnection> {
  const connection = connectInMemory({ exports: EXPORTS });
  await connection.client.greet(flags);
  return connection;
}

const types = (answers: readonly { type: number }[]): number[] => answers.map(({ type }) => type);

describe('greeting', () => {
  it('offers fixed newstyle without padding', async () => {
    const { client } = connectInMemory({ exports: EXPORTS });
    expect((await client.greet()).toString('latin1')).toBe('NBDMAGICIHAVEOPT\0\x03');
  });

  it('drops a client with unknown flags', async () => {
    const { client, served, lines } = await greeted(0x10003);
    expect(await client.rest()).toHaveLength(0);
    await served;
    expect(lines).toEqual(['connection closed: unknown client flags 0x10003']);
  });

  it('lets a client that does not know fixed newstyle name an export, and nothing else', async () => {
    const plain = await greeted(0);
    plain.client.send(optionFrame(1, Buffer.from('first')));
    const answer = await plain.client.take(134);
    expect(answer.subarray(0, 8)).toEqual(u64(100_000));
    expect(answer.subarray(10)).toEqual(Buffer.alloc(124));
    const other = await greeted(0);
    other.client.send(optionFrame(3));
    expect(await other.client.rest()).toHaveLength(0);
  });
});

describe('EXPORT_NAME', () => {
  it('answers size and flags without padding', async () => {
    const { client } = await greeted();
    client.send(optionFrame(1, Buffer.from('zweite ä')));
    const answer = await client.take(10);
    expect(answer.subarray(0, 8)).toEqual(u64(8192));
    // HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, CAN_MULTI_CONN
    expect(answer.readUInt16BE(8)).toBe(0b1_0110_1101);
  });

  it('means the default export by an empty name', async () => {
    const { client } = await greeted();
    client.send(optionFrame(1));
    // HAS_FLAGS, READ_ONLY, CAN_MULTI_CONN
    expect(await client.take(10)).toEqual(Buffer.concat([u64(100_000), u16(0b1_0000_0011)]));
  });

  it.each([
    ['an unknown name', Buffer.from('third')],
    ['a name that is not UTF-8', Buffer.from([0xff])],
    ['a name that is too long', Buffer.alloc(4097, 'a')],
  ])('closes the connection for %s', async (_, name) => {
    const { client, served, lines } = await greeted();
    client.send(optionFrame(1, name));
    expect(await client.rest()).toHaveLength(0);
    await served;
    expect(lines).toHaveLength(1);
  });
});

describe('ABORT and LIST', () => {
  it('acknowledges the end', async () => {
    const { client, served, lines } = await greeted();
    expect(types(await client.option(2))).toEqual([1]);
    expect(await client.rest()).toHaveLength(0);
    client.socket.end();
    await served;
    expect(lines).toEqual([]);
  });

  it('lists every export with its description', async () => {
    const { client } = await greeted();
    const answers = await client.option(3);
    expect(types(answers)).toEqual([2, 2, 2, 1]);
    expect(answers[0]!.magic).toBe(0x3e889045565a9n);
    expect(answers[0]!.option).toBe(3);
    expect(answers[0]!.data).toEqual(Buffer.concat([u32(5), Buffer.from('firstthe first')]));
    expect(answers[1]!.data).toEqual(Buffer.concat([u32(9), Buffer.from('zweite ä')]));
    expect(types(await client.option(3, Buffer.from('x')))).toEqual([INVALID]);
  });
});

describe('INFO and GO', () => {
  it('tell what is asked for', async () => {
    const { client } = await greeted();
    const answers = await client.option(6, infoRequest('', [3, 2, 1, 77]));
    expect(types(answers)).toEqual([3, 3, 3, 3, 1]);
    expect(answers.slice(0, 4).map(({ data }) => data)).toEqual([
      Buffer.concat([u16(0), u64(100_000), u16(0b1_0000_0011)]),
      Buffer.concat([u16(1), Buffer.from('first')]),
      Buffer.concat([u16(2), Buffer.from('the first')]),
      Buffer.concat([u16(3), u32(1), u32(65536), u32(33554432)]),
    ]);
  });

  it('advertise DF only with structured replies, and CACHE where there is a cache', async () => {
    const { client } = await greeted();
    const flags = async (name: string): Promise<number> =>
      (await client.option(6, infoRequest(name)))[0]!.data.readUInt16BE(10);
    expect(await flags('cached')).toBe(0b101_0000_0011);
    expect(types(await client.option(8))).toEqual([1]);
    expect(await flags('cached')).toBe(0b101_1000_0011);
  });

  it('know no other exports', async () => {
    const { client } = await greeted();
    expect(types(await client.option(7, infoRequest('third')))).toEqual([UNKNOWN]);
    expect(types(await client.option(6, infoRequest('third')))).toEqual([UNKNOWN]);
    expect(types(await client.option(7, infoRequest('first')))).toEqual([3, 1]);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a name that is longer than the data', Buffer.concat([u32(0xffffffff), Buffer.from('first')])],
    ['too few requests', Buffer.concat([infoRequest('first', [1]).subarray(0, -1)])],
    ['bytes behind', Buffer.concat([infoRequest('first'), Buffer.from('x')])],
    ['a long name', infoRequest('a'.repeat(4097))],
    ['a name that is not UTF-8', Buffer.concat([u32(1), Buffer.from([0x80]), u16(0)])],
  ])('refuse %s', async (_, data) => {
    const { client } = await greeted();
    expect(types(await client.option(7, data))).toEqual([INVALID]);
    expect(types(await client.option(6, data))).toEqual([INVALID]);
  });
});

describe('metadata contexts', () => {
  it('need structured replies', async () => {
    const { client } = await greeted();
    expect(types(await client.option(9, metaQuery('', [])))).toEqual([INVALID]);
    expect(types(await client.option(10, metaQuery('', ['base:allocation'])))).toEqual([INVALID]);
    expect(types(await client.option(8, Buffer.from('x')))).toEqual([INVALID]);
  });

  it('are listed', async () => {
    const { client } = await greeted();
    await client.option(8);
    for (const queries of [[], ['base:'], ['base:allocation'], ['x', 'base:allocation', 'base:allocation']]) {
      const answers = await client.option(9, metaQuery('first', queries));
      expect(types(answers)).toEqual([4, 1]);
      expect(answers[0]!.data).toEqual(Buffer.concat([u32(0), Buffer.from('base:allocation')]));
    }
    expect(types(await client.option(9, metaQuery('first', ['base:other', 'qemu:'])))).toEqual([1]);
  });

  it('are chosen', async () => {
    const { client } = await greeted();
    await client.option(8);
    const answers = await client.option(10, metaQuery('first', ['base:allocation']));
    expect(types(answers)).toEqual([4, 1]);
    expect(answers[0]!.data).toEqual(Buffer.concat([u32(1), Buffer.from('base:allocation')]));
    for (const queries of [[], ['base:'], ['base:allocatio']])
      expect(types(await client.option(10, metaQuery('first', queries)))).toEqual([1]);
  });

  it.each([
    ['an unknown export', metaQuery('third', []), UNKNOWN],
    ['more queries than there are', Buffer.concat([u32(0), u32(0xffffffff)]), INVALID],
    ['bytes behind', Buffer.concat([metaQuery('', []), Buffer.from('x')]), INVALID],
    ['a query that is too long', metaQuery('', ['a'.repeat(4097)]), INVALID],
  ])('refuse %s', async (_, data, type) => {
    const { client } = await greeted();
    await client.option(8);
    expect(types(await client.option(9, data))).toEqual([type]);
    expect(types(await client.option(10, data))).toEqual([type]);
  });
});

describe('other options', () => {
  it.each([4, 9999, 11, 0, 0xffffffff])('%i is not supported', async (number) => {
    const { client } = await greeted();
    expect(types(await client.option(number, Buffer.alloc(100)))).toEqual([UNSUP]);
    expect(types(await client.option(3))).toHaveLength(4);
  });

  it('are limited in length', async () => {
    const { client, lines, served } = await greeted();
    expect(types(await client.option(99, Buffer.alloc(65536)))).toEqual([UNSUP]);
    client.send(Buffer.from('IHAVEOPT'), u32(99), u32(65537));
    expect(await client.rest()).toHaveLength(0);
    await served;
    expect(lines).toEqual(['connection closed: an option with 65537 bytes of data, more than 65536']);
  });

  it('must have their magic', async () => {
    const { client, lines, served } = await greeted();
    client.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    expect(await client.rest()).toHaveLength(0);
    await served;
    expect(lines).toEqual(['connection closed: an option does not start with the magic of options']);
  });
});

describe('connections', () => {
  it('that do not get on with it are closed', async () => {
    const silent = connectInMemory({ exports: EXPORTS, limits: { handshakeMs: 50 } });
    await silent.served;
    const stuck = connectInMemory({ exports: EXPORTS, limits: { handshakeMs: 50 } });
    await stuck.client.greet();
    stuck.client.send(Buffer.from('IHAVEOPT'));
    await stuck.served;
    expect(await stuck.client.rest()).toHaveLength(0);
  });

  it('that break off leave nothing in the log', async () => {
    for (const bytes of ['', 'IHAVE', 'IHAVEOPT\0\0\0\x07\0\0\0\x10abc']) {
      const { client, served, lines } = await greeted();
      client.socket.end(bytes);
      await served;
      expect(lines).toEqual([]);
    }
  });

  it('are closed when the server stops', async () => {
    const { client, served, stop } = await greeted();
    stop.abort();
    await served;
    expect(await client.rest()).toHaveLength(0);
    const late = connectInMemory({ exports: EXPORTS });
    late.stop.abort();
    await late.served;
  });
});
