import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { orderedSink } from '../../src/build/ordered-sink.js';

interface Piece {
  readonly offset: number;
  readonly data: Uint8Array | undefined;
  readonly length: number;
}

function cut(lengths: readonly number[], zeros: readonly boolean[]): { pieces: Piece[]; whole: Buffer } {
  let offset = 0;
  const pieces = lengths.map((length, index) => {
    const data = zeros[index] === true ? undefined : new Uint8Array(length).fill((index % 255) + 1);
    const piece = { offset, length, data };
    offset += length;
    return piece;
  });
  return { pieces, whole: Buffer.concat(pieces.map(({ data, length }) => data ?? new Uint8Array(length))) };
}

describe('orderedSink', () => {
  it('delivers pieces in order whatever the order of arrival, with any window', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        lengths,
        fc.array(fc.boolean()),
        fc.integer({ min: 0, max: 100 }),
        fc.nat(),
        async (sizes, zeros, window, seed) => {
          const { pieces, whole } = cut(sizes, zeros);
          const out: Buffer[] = [];
          const sink = orderedSink(
            (data) => {
              out.push(Buffer.from(data));
              return Promise.resolve();
            },
            { windowBytes: window },
          );
          const shuffled = pieces
            .map((piece, index) => ({ piece, key: (index * 7919 + seed) % 13 }))
            .sort((a, b) => a.key - b.key);
          await Promise.all(
            shuffled.map(({ piece }) =>
              piece.data ? sink.data(piece.offset, piece.data) : sink.zero(piece.offset, piece.length),
            ),
          );
          expect(Buffer.concat(out).equals(whole)).toBe(true);
        },
      ),
    );
  });

  it('copies what it keeps, so that the caller may reuse its buffer', async () => {
    const out: Buffer[] = [];
    const sink = orderedSink((data) => {
      out.push(Buffer.from(data));
      return Promise.resolve();
    });
    const buffer = new Uint8Array([2, 2]);
    await sink.data(2, buffer);
    buffer.fill(1);
    await sink.data(0, buffer);
    expect([...Buffer.concat(out)]).toEqual([1, 1, 2, 2]);
  });

  it('holds a producer back when the window is full', async () => {
    const sink = orderedSink(() => Promise.resolve(), { windowBytes: 4 });
    await sink.data(2, new Uint8Array(4));
    let released = false;
    const waiting = sink.data(6, new Uint8Array(1)).then(() => (released = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(released).toBe(false);
    await sink.data(0, new Uint8Array(2));
    await waiting;
    expect(released).toBe(true);
  });

  it('lets go of a waiting producer on abort and reports a failing writer to everyone', async () => {
    const controller = new AbortController();
    const sink = orderedSink(() => Promise.resolve(), { windowBytes: 0 });
    const waiting = sink.data(5, new Uint8Array(1), controller.signal);
    controller.abort(new Error('stop'));
    await expect(waiting).rejects.toThrow('stop');

    const broken = orderedSink(() => Promise.reject(new Error('pipe')));
    await expect(broken.data(0, new Uint8Array(1))).rejects.toThrow('pipe');
    await expect(broken.data(1, new Uint8Array(1))).rejects.toThrow('pipe');
  });
});
