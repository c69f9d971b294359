import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { TsbuilderError, messageOf } from '../../errors.js';
import { discardBlockDevice } from '../../io/libc.js';
import { deviceFolder } from '../../image/block-device-use.js';
import type { Range } from '../../probe/range.js';
import type { Progress } from '../../progress.js';
import { wholeBlocks } from './punch-free.js';

/** Smaller pieces than the blocks of filesystems are not worth telling a device. */
const BLOCK = 4096;
const COPY = 'Write a copy instead: tsbuilder sparsify DISK OUT';
/** Longest range of one call, so that an abort is not far away. */
const STEP = 1024 * 1024 * 1024;

/**
 * Tells the block device `path` that the ranges `free` are not needed (BLKDISCARD). What is read there afterwards is up to the device; nothing
 * beside them changes. Interrupted at any moment, it leaves a disk that is as valid as before.
 *
 * @returns the bytes that were discarded: whole blocks of 4 KiB
 * @throws TSB_OUTPUT_UNUSABLE when the device cannot be told after all, or not be written
 */
export async function discardFree(
  path: string,
  free: readonly Range[],
  { progress, signal }: { progress: Progress; signal: AbortSignal },
): Promise<number> {
  const unit = Math.max(BLOCK, await sectorSize(path));
  const ranges = free.map((range) => wholeBlocks(range, unit)).filter(({ length }) => length > 0);
  const total = ranges.reduce((sum, { length }) => sum + length, 0);
  await using handle = await open(path, constants.O_RDWR).catch((error: unknown) => {
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: cannot be written: ${messageOf(error)}`, {
      cause: error,
    });
  });
  using step = progress.step('Discarding', total);
  for (const { offset, length } of ranges) {
    for (let done = 0; done < length; done += STEP) {
      signal.throwIfAborted();
      const size = Math.min(STEP, length - done);
      if (!(await discardBlockDevice(handle.fd, offset + done, size))) throw noDiscard(path);
      step.advance(size);
    }
  }
  return total;
}

/**
 * Passes when the block device `path` can be told what is not needed.
 *
 * @throws TSB_OUTPUT_UNUSABLE
 */
export async function assertCanDiscard(path: string): Promise<void> {
  const readOnly = await readFile(`${await deviceFolder(path)}/ro`, 'utf8').catch(() => '0');
  if (Number(readOnly) !== 0) {
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: the device is read-only`, { hint: COPY });
  }
  if ((await queueLimit(path, 'discard_max_bytes')) === 0) throw noDiscard(path);
}

async function sectorSize(path: string): Promise<number> {
  return queueLimit(path, 'logical_block_size');
}

/** What /sys says of a device's queue: a partition has that of its disk. */
async function queueLimit(path: string, name: string): Promise<number> {
  const folder = await deviceFolder(path);
  const own = await readFile(`${folder}/queue/${name}`, 'utf8').catch(() => undefined);
  return Number(own ?? (await readFile(`${folder}/../queue/${name}`, 'utf8').catch(() => '0')));
}

function noDiscard(path: string): TsbuilderError {
  return new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: the device does not support discarding`, {
    hint: COPY,
  });
}
