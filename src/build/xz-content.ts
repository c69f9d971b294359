import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { decodeXz } from '../xz/decode-xz.js';
import { type XzIndex, readXzIndex, sameXzIndex } from '../xz/xz-index.js';
import { openXzSource } from '../xz/xz-source.js';
import type { DiskContent } from './disk-content.js';

/** The disk inside an xz file whose index has been read. */
export function xzContent(source: ByteSource, index: XzIndex): DiskContent {
  const disk = openXzSource(source, index);
  return {
    container: 'xz',
    size: index.uncompressedSize,
    streamedBytes: source.size,
    disk,
    estimatedAllocation: estimateAllocation(index),
    stream: (sink, { jobs, signal, onProgress }) =>
      decodeXz({
        source,
        index,
        jobs,
        signal,
        onData: (offset, data, inner) => sink.data(offset, data, inner),
        onZero: (offset, length) => sink.zero(offset, length),
        onProgress,
      }),
    async confirm(verified, signal) {
      if (sameXzIndex(index, await readXzIndex(verified, { signal }))) return;
      throw new TsbuilderError(
        'TSB_CONTENT_CHANGED',
        `${source.name}: the xz index that was used is not the one in the verified file`,
        { hint: 'The server answered two requests for one file differently. Try again.' },
      );
    },
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

// Real data rarely compresses better than this; what does is mostly zeros.
const DENSE_RATIO = 20;

function estimateAllocation(index: XzIndex): number {
  let total = 0;
  for (const { uncompressedSize, totalSize } of index.blocks()) {
    total += Math.min(uncompressedSize, totalSize * DENSE_RATIO);
  }
  return total;
}
