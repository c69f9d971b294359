import type { EncodedBlock } from './encode-block.js';

/** Puts blocks that are ready in any order into the order of the file. */
export interface BlockOrder {
  /**
   * Takes block `number`. Resolves when there is room for another: at once while what waits for its turn is not too much, else when
   * this block has been written. Throws what writing throws, and the reason when `signal` is aborted.
   */
  put(number: number, block: EncodedBlock, signal: AbortSignal): Promise<void>;
  /** Resolves when everything that was put has been written. */
  finish(): Promise<void>;
}

/** Writes blocks in order by `write`, one at a time; `window` bytes may wait for their turn. */
export function orderBlocks(
  write: (block: EncodedBlock) => Promise<void>,
  { window }: { readonly window: number },
): BlockOrder {
  const waiting = new Map<number, { readonly block: EncodedBlock; readonly written: () => void }>();
  let next = 0;
  let kept = 0;
  let chain = Promise.resolve();
  const flush = async (): Promise<void> => {
    for (let turn = waiting.get(next); turn; turn = waiting.get(next)) {
      await write(turn.block);
      waiting.delete(next);
      next += 1;
      kept -= turn.block.bytes.length;
      turn.written();
    }
  };
  return {
    async put(number, block, signal) {
      kept += block.bytes.length;
      const written = new Promise<void>((resolve) => waiting.set(number, { block, written: resolve }));
      chain = chain.then(flush);
      // The block that is next always has someone waiting, who learns of a failure.
      chain.catch(() => undefined);
      if (number === next) await chain;
      else if (kept > window) await untilAborted(written, signal);
    },
    finish: () => chain,
  };
}

async function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
