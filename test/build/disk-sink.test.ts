import { describe, expect, it } from 'vitest';
import { diskSink } from '../../src/build/disk-sink.js';
import type { DiskWriter } from '../../src/image/disk-writer.js';

function recorder(size: number): { writer: DiskWriter; calls: string[]; content: Buffer } {
  const calls: string[] = [];
  const content = Buffer.alloc(size, 0xee);
  const writer: DiskWriter = {
    size,
    write(offset, data) {
      calls.push(`write ${offset} ${data.length}`);
      content.set(data, offset);
      return Promise.resolve();
    },
    zero(offset, length) {
      calls.push(`zero ${offset} ${length}`);
      content.fill(0, offset, offset + length);
      return Promise.resolve();
    },
    finish: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { writer, calls, content };
}

describe('diskSink', () => {
  it('writes data and leaves zero runs to the writer', async () => {
    const { writer, calls } = recorder(256 * 1024);
    const data = new Uint8Array(192 * 1024);
    data.fill(1, 0, 65536);
    data.fill(2, 131072);
    await diskSink(writer).data(65536, data);
    expect(calls).toEqual(['write 65536 65536', 'zero 131072 65536', 'write 196608 65536']);
  });

  it('places ranges by the map and drops what it leaves out', async () => {
    const { writer, content } = recorder(100);
    const map = (offset: number, length: number) =>
      [
        { from: 0, to: 50, length: 10 },
        { from: 20, to: 80, length: 10 },
      ].filter(({ from, length: count }) => from >= offset && from + count <= offset + length);
    const sink = diskSink(writer, map);
    await sink.data(
      0,
      Uint8Array.from({ length: 30 }, (_, index) => index + 1),
    );
    expect([...content.subarray(50, 60)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect([...content.subarray(80, 90)]).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
    expect(content[0]).toBe(0xee);
    await sink.zero(0, 30);
    expect(content.subarray(50, 60).every((byte) => byte === 0)).toBe(true);
  });
});
