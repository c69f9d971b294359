import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { orAborted, untilAborted } from '../../src/io/or-aborted.js';

const never = new Promise<never>(() => undefined);

it('gives what the work gives, and leaves no listener', async () => {
  const { signal } = new AbortController();
  expect(await orAborted(Promise.resolve(1), signal)).toBe(1);
  await expect(orAborted(Promise.reject(new Error('failed')), signal)).rejects.toThrow('failed');
  expect(await orAborted(Promise.resolve(2), undefined)).toBe(2);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('ends with the reason of the signal, before or while it waits', async () => {
  const controller = new AbortController();
  const waiting = orAborted(never, controller.signal);
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await expect(orAborted(never, controller.signal)).rejects.toThrow('enough');
});

it('hands on the pieces of a stream until then', async () => {
  const controller = new AbortController();
  async function* stream(): AsyncGenerator<number> {
    yield 1;
    yield 2;
    await never;
  }
  const pieces: number[] = [];
  const reading = (async () => {
    for await (const piece of untilAborted(stream(), controller.signal)) {
      pieces.push(piece);
      if (piece === 2) setImmediate(() => controller.abort(new Error('enough')));
    }
  })();
  await expect(reading).rejects.toThrow('enough');
  expect(pieces).toEqual([1, 2]);
});
