import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { type PackContent, type PackedFile } from '../build/pack-xz.js';
import { TsbuilderError } from '../errors.js';
import { isAllZero } from '../io/all-zero.js';

/**
 * Reads a block device a second time: the time of its last change tells nothing. Passes when every block is as it was packed; a
 * change between the two looks that was taken back is not seen. A file passes unread.
 *
 * @throws TSB_CONTENT_CHANGED naming the first block that differs
 */
export async function lookAgain(
  path: string,
  content: Pick<PackContent, 'size' | 'fill'>,
  { packed, signal }: { readonly packed: PackedFile; readonly signal: AbortSignal },
): Promise<void> {
  if (!(await stat(path)).isBlockDevice()) return;
  const { blockSize, digests } = packed;
  const buffer = Buffer.allocUnsafeSlow(Math.min(blockSize, content.size));
  for (const [number, digest] of digests.entries()) {
    signal.throwIfAborted();
    const offset = number * blockSize;
    const block = buffer.subarray(0, Math.min(blockSize, content.size - offset));
    const zero = !(await content.fill(offset, block, signal)) || isAllZero(block);
    const same = digest ? !zero && createHash('sha256').update(block).digest().equals(digest) : zero;
    if (same) continue;
    throw new TsbuilderError(
      'TSB_CONTENT_CHANGED',
      `${path}: its bytes from ${offset} on were written to while it was packed`,
      { hint: 'Make sure that nothing uses the disk, then start again.' },
    );
  }
}
