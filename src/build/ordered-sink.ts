import type { DiskSink } from './disk-sink.js';

const DEFAULT_WINDOW = 64 * 1024 * 1024;
const ZEROS = new Uint8Array(1024 * 1024);

interface Waiting {
  readonly data: Uint8Array | undefined;
  readonly length: number;
  readonly release?: () => void;
}

/**
 * A sink for outputs that cannot seek: pieces arrive in any order and leave in order. Pieces ahead of their turn are
 * copied and kept while they fit into `windowBytes`; beyond that their producer waits, so memory stays bounded.
 */
export function orderedSink(
  write: (data: Uint8Array) => Promise<void>,
  options: { windowBytes?: number | undefined } = {},
): DiskSink {
  const window = options.windowBytes ?? DEFAULT_WINDOW;
  const ahead = new Map<number, Waiting>();
  let position = 0;
  let kept = 0;
  let chain = Promise.resolve();

  const writePiece = async (piece: Waiting): Promise<void> => {
    if (piece.data) await write(piece.data);
    else for (let left = piece.length; left > 0; left -= ZEROS.length) await write(ZEROS.subarray(0, left));
  };
  const flush = async (): Promise<void> => {
    for (let piece = ahead.get(position); piece; piece = ahead.get(position)) {
      ahead.delete(position);
      await writePiece(piece);
      position += piece.length;
      if (piece.release) piece.release();
      else kept -= piece.data?.length ?? 0;
    }
  };
  const accept = async (offset: number, piece: Waiting): Promise<void> => {
    ahead.set(offset, piece);
    chain = chain.then(flush);
    await chain;
  };
  return {
    async data(offset, data, signal) {
      if (offset !== position && kept + data.length <= window) {
        kept += data.length;
        await accept(offset, { data: Uint8Array.from(data), length: data.length });
      } else {
        await released(signal, (release) => accept(offset, { data, length: data.length, release }));
      }
    },
    zero: (offset, length) => accept(offset, { data: undefined, length }),
  };
}

/** Waits until the piece that `offer` offers has been written and released, or `signal` is aborted. */
async function released(
  signal: AbortSignal | undefined,
  offer: (release: () => void) => Promise<void>,
): Promise<void> {
  let stop = (): void => undefined;
  try {
    await new Promise<void>((release, reject) => {
      stop = () => reject(signal?.reason as Error);
      signal?.addEventListener('abort', stop);
      if (signal?.aborted) stop();
      else offer(release).catch(reject);
    });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
