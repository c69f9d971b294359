import { describe, expect, it } from 'vitest';
import type { Lzma2Encoder, XzEncoderLibrary } from '../../src/xz/encode-liblzma.js';
import { openEncoderPool } from '../../src/xz/encoder-pool.js';

const OPTIONS = { preset: '0', blockSize: 65_536 };
const NOTHING = new Uint8Array();

/** A library whose encoders end when `finish` is called, the one that began first at first. */
function manualLibrary() {
  const running: ((result: number | Error) => void)[] = [];
  const counts = { opened: 0, disposed: 0, most: 0 };
  const openEncoder = (): Lzma2Encoder => {
    counts.opened += 1;
    return {
      property: 22,
      encode: () =>
        new Promise((resolve, reject) => {
          running.push((result) => (result instanceof Error ? reject(result) : resolve(result)));
          counts.most = Math.max(counts.most, running.length);
        }),
      [Symbol.dispose]: () => void (counts.disposed += 1),
    };
  };
  const library = { openEncoder } as unknown as XzEncoderLibrary;
  const finish = async (result: number | Error): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    running.shift()?.(result);
  };
  return { library, counts, finish };
}

describe('openEncoderPool', () => {
  it('packs as many blocks at once as there are jobs, the others in turn', async () => {
    const { library, counts, finish } = manualLibrary();
    const pool = openEncoderPool(library, { ...OPTIONS, jobs: 2 });
    const packed = [1, 2, 3, 4, 5].map(() => pool.encode(NOTHING, NOTHING, () => undefined));
    for (const result of [10, 20, 30, 40, 50]) await finish(result);
    expect(await Promise.all(packed)).toEqual([10, 20, 30, 40, 50]);
    expect(counts).toEqual({ opened: 2, disposed: 0, most: 2 });
    pool[Symbol.dispose]();
    expect(counts.disposed).toBe(2);
  });

  it('makes no more encoders than are needed at once', async () => {
    const { library, counts, finish } = manualLibrary();
    using pool = openEncoderPool(library, { ...OPTIONS, jobs: 8 });
    expect(pool.property).toBe(22);
    for (const result of [1, 2, 3]) {
      const packed = pool.encode(NOTHING, NOTHING, () => undefined);
      await finish(result);
      expect(await packed).toBe(result);
    }
    expect(counts.opened).toBe(1);
  });

  it('gives the turn of a block that failed to the next', async () => {
    const { library, finish } = manualLibrary();
    using pool = openEncoderPool(library, { ...OPTIONS, jobs: 1 });
    const [failed, next] = [1, 2].map(() => pool.encode(NOTHING, NOTHING, () => undefined));
    const failure = expect(failed).rejects.toThrow('no memory');
    await finish(new Error('no memory'));
    await failure;
    await finish(7);
    expect(await next).toBe(7);
  });
});
