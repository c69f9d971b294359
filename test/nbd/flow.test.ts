import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { newCounters } from '../../src/io/counters.js';
import type { DiskSource } from '../../src/io/disk-source.js';
import { serveNbdConnection } from '../../src/nbd/nbd-server.js';
import { RawClient, connectInMemory, connectedPair, requestFrame } from '../helpers/nbd-client.js';
import { memoryDisk, patterned, readOnly } from '../helpers/nbd-disk.js';

const [READ, WRITE, DISC] = [0, 1, 2];
const CONTENT = patterned(1024 * 1024);

/** A disk whose reads wait until they are let go. */
function gated(): {
  disk: DiskSource;
  waiting: { offset: number; signal: AbortSignal; letGo: () => void }[];
} {
  const waiting: { offset: number; signal: AbortSignal; letGo: () => void }[] = [];
  const disk: DiskSource = {
    ...readOnly(memoryDisk(CONTENT)),
    read: (offset, length, signal) =>
      new Promise((resolve, reject) => {
        signal!.addEventListener('abort', () => reject(signal!.reason as Error));
        waiting.push({
          offset,
          signal: signal!,
          letGo: () => resolve(CONTENT.subarray(offset, offset + length)),
        });
      }),
  };
  return { disk, waiting };
}

const reads = (count: number, length: number): Buffer[] =>
  Array.from({ length: count }, (_, index) =>
    requestFrame({ type: READ, cookie: BigInt(index), offset: index, length }),
  );

describe('requests', () => {
  it('are answered when they are ready, not in their order', async () => {
    const { disk, waiting } = gated();
    const { client } = connectInMemory({ exports: [{ name: '', disk }] });
    await client.go('', { structured: false, allocation: false });
    client.send(...reads(3, 1));
    await vi.waitUntil(() => waiting.length === 3);
    for (const index of [2, 0, 1]) {
      waiting[index]!.letGo();
      expect(await client.simple()).toEqual({ errno: 0, cookie: BigInt(index) });
      expect(await client.take(1)).toEqual(CONTENT.subarray(index, index + 1));
    }
  });

  it('are not taken while too many are worked on', async () => {
    const { disk, waiting } = gated();
    const limits = { requests: 5 };
    const { client } = connectInMemory({ exports: [{ name: '', disk }], limits });
    await client.go('', { structured: false, allocation: false });
    client.send(...reads(20, 1));
    await vi.waitUntil(() => waiting.length === 5);
    await delay(20);
    expect(waiting).toHaveLength(5);
    for (let count = 0; count < 20; count++) {
      await vi.waitUntil(() => waiting.length > count);
      expect(waiting.length).toBeLessThanOrEqual(count + 5);
      waiting[count]!.letGo();
      expect((await client.simple()).cookie).toBe(BigInt(count));
      await client.take(1);
    }
  });

  it.each([true, false])(
    'of a client that does not read cost no memory (structured: %s)',
    async (structured) => {
      let read = 0;
      const disk: DiskSource = {
        ...readOnly(memoryDisk(CONTENT)),
        read: (_, length) => {
          read += length;
          return Promise.resolve(Buffer.alloc(length));
        },
      };
      const [near, far] = connectedPair();
      const options = {
        exports: [{ name: '', disk }],
        defaultExport: '',
        log: () => undefined,
        counters: newCounters(),
        limits: { payloadBytes: 512 * 1024 },
      };
      const stop = new AbortController();
      const served = serveNbdConnection(far, options, stop.signal);
      const client = new RawClient(near);
      await client.go('', { structured, allocation: false });
      near.removeAllListeners('data').pause();
      client.send(...reads(100, 128 * 1024));
      await delay(30);
      // What may be in memory, what the socket has taken, and what it buffers.
      expect(read).toBeGreaterThan(0);
      expect(read).toBeLessThanOrEqual(512 * 1024 + 3 * 128 * 1024);
      near.destroy();
      await served;
    },
  );

  it('to write wait for memory too, and are all done in the end', async () => {
    const disk = memoryDisk(Buffer.alloc(1024 * 1024));
    let inMemory = 0;
    let most = 0;
    const slow = {
      ...disk,
      async write(offset: number, data: Uint8Array) {
        inMemory += data.length;
        most = Math.max(most, inMemory);
        await turn();
        inMemory -= data.length;
        await disk.write(offset, data);
      },
    };
    const limits = { payloadBytes: 256 * 1024 };
    const { client } = connectInMemory({ exports: [{ name: '', disk: slow }], limits });
    await client.go();
    for (let at = 0; at < CONTENT.length; at += 65536) {
      client.send(requestFrame({ type: WRITE, offset: at, length: 65536 }), CONTENT.subarray(at, at + 65536));
    }
    for (let count = 0; count < 16; count++) expect((await client.simple()).errno).toBe(0);
    expect(disk.content.equals(CONTENT)).toBe(true);
    expect(most).toBeLessThanOrEqual(256 * 1024);
  });
});

describe('what a connection may have in memory', () => {
  it('is 8 MiB, and yet the largest write of the protocol is taken', async () => {
    let read = 0;
    const disk: DiskSource = {
      ...memoryDisk(Buffer.alloc(32 * 1024 * 1024)),
      read: (_, length) => {
        read += length;
        return Promise.resolve(Buffer.alloc(length));
      },
    };
    const { client, served } = connectInMemory({ exports: [{ name: '', disk }] });
    await client.go();
    const data = Buffer.alloc(32 * 1024 * 1024, 7);
    client.send(requestFrame({ type: WRITE, offset: 0, length: data.length }), data);
    expect((await client.simple()).errno).toBe(0);
    client.socket.removeAllListeners('data').pause();
    client.send(...reads(120, 1024 * 1024));
    await delay(30);
    expect(read).toBeGreaterThan(4 * 1024 * 1024);
    expect(read).toBeLessThanOrEqual(9 * 1024 * 1024);
    client.socket.destroy();
    await served;
  });
});

describe('a client that leaves', () => {
  it.each(['with a reset', 'with an end', 'in the middle of a request'])(
    '%s has its reads cancelled',
    async (how) => {
      const { disk, waiting } = gated();
      const { client, served, lines, counters } = connectInMemory({ exports: [{ name: '', disk }] });
      await client.go();
      client.send(...reads(3, 1));
      await vi.waitUntil(() => waiting.length === 3);
      if (how === 'with a reset') client.socket.destroy();
      else client.socket.end(how === 'with an end' ? '' : 'abc');
      await served;
      expect(waiting.every(({ signal }) => signal.aborted)).toBe(true);
      expect(lines).toEqual([]);
      expect(counters.errors).toBe(0);
    },
  );

  it('has its writes finished', async () => {
    const disk = memoryDisk(Buffer.alloc(4096));
    let letGo: (() => void) | undefined;
    const slow = {
      ...disk,
      write: async (offset: number, data: Uint8Array) => {
        await new Promise<void>((resolve) => (letGo = resolve));
        await disk.write(offset, data);
      },
    };
    const { client, served } = connectInMemory({ exports: [{ name: '', disk: slow }] });
    await client.go();
    client.send(requestFrame({ type: WRITE, length: 5 }), Buffer.from('hello'));
    await vi.waitUntil(() => letGo !== undefined);
    client.socket.destroy();
    await turn();
    letGo!();
    await served;
    expect(disk.content.subarray(0, 5).toString()).toBe('hello');
  });

  it('with DISC but does not take its replies is not waited for', async () => {
    const [near, far] = connectedPair();
    const options = {
      exports: [{ name: '', disk: readOnly(memoryDisk(CONTENT)) }],
      defaultExport: '',
      log: () => undefined,
      counters: newCounters(),
      limits: { drainMs: 50 },
    };
    const served = serveNbdConnection(far, options, new AbortController().signal);
    const client = new RawClient(near);
    await client.go();
    near.removeAllListeners('data').pause();
    client.send(...reads(10, 500_000), requestFrame({ type: DISC }));
    await served;
    expect(far.destroyed).toBe(true);
  });
});

describe('a server that stops', () => {
  it('answers what it has taken, and takes no more', async () => {
    const { disk, waiting } = gated();
    const { client, served, stop } = connectInMemory({ exports: [{ name: '', disk }] });
    await client.go('', { structured: false, allocation: false });
    client.send(...reads(2, 1));
    await vi.waitUntil(() => waiting.length === 2);
    stop.abort();
    client.send(...reads(1, 1));
    waiting[1]!.letGo();
    expect((await client.simple()).cookie).toBe(1n);
    waiting[0]!.letGo();
    expect(await client.take(1)).toEqual(CONTENT.subarray(1, 2));
    expect((await client.simple()).cookie).toBe(0n);
    expect(await client.rest()).toEqual(CONTENT.subarray(0, 1));
    client.socket.end();
    await served;
    expect(waiting).toHaveLength(2);
  });

  it('does not wait for ever', async () => {
    const { disk, waiting } = gated();
    const limits = { drainMs: 50 };
    const { client, served, stop, lines } = connectInMemory({ exports: [{ name: '', disk }], limits });
    await client.go();
    client.send(...reads(1, 1));
    await vi.waitUntil(() => waiting.length === 1);
    stop.abort();
    await served;
    expect(waiting[0]!.signal.aborted).toBe(true);
    expect(lines).toEqual([]);
  });

  it('lets an idle client go at once', async () => {
    const { client, served, stop } = connectInMemory({ exports: [{ name: '', disk: memoryDisk(CONTENT) }] });
    await client.go();
    stop.abort();
    expect(await client.rest()).toHaveLength(0);
    client.socket.end();
    await served;
  });
});

describe('connections', () => {
  it('are limited in number', async () => {
    const lines: string[] = [];
    const options = {
      exports: [{ name: '', disk: readOnly(memoryDisk(CONTENT)) }],
      defaultExport: '',
      log: (line: string) => lines.push(line),
      counters: newCounters(),
      maxConnections: 2,
    };
    const stop = new AbortController();
    const connect = (): { client: RawClient; served: Promise<void> } => {
      const [near, far] = connectedPair();
      return { client: new RawClient(near), served: serveNbdConnection(far, options, stop.signal) };
    };
    const [first, second, third] = [connect(), connect(), connect()];
    await third.served;
    expect(await third.client.rest()).toHaveLength(0);
    expect(lines).toEqual(['connection refused: 2 are open already']);
    first.client.socket.destroy();
    await first.served;
    const fourth = connect();
    await fourth.client.go();
    expect(options.counters.connections).toBe(3);
    stop.abort();
    second.client.socket.destroy();
    fourth.client.socket.destroy();
    await Promise.all([second.served, fourth.served]);
  });
});
