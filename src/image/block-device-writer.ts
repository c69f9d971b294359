import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { blockDeviceSize } from '../io/file-source.js';
import { writeError } from '../io/free-space.js';
import { blockDeviceBytes, punchHole, zeroBlockDevice } from '../io/libc.js';
import { assertUnused } from './block-device-use.js';
import { type DiskWriter, assertInside } from './disk-writer.js';
import { type RangeSet, createRangeSet } from './range-set.js';
import { type WriteTarget, writeFully, writeZeros } from './write-fully.js';

/** Zeros are asked of the kernel in units that are whole sectors of any device. */
const ZERO_ALIGNMENT = 4096;
/** Longest range zeroed by one call, so that an abort is not far away. */
const ZERO_STEP = 1024 * 1024 * 1024;

/**
 * Opens a block device as a disk of `size` bytes: its first `size` bytes are overwritten, what is neither written nor
 * zeroed is zeroed by `finish`, which also waits until the device has everything. Bytes behind `size` stay.
 *
 * @throws TSB_OUTPUT_UNUSABLE when it is not a block device, is mounted, swapped to or held by another device (also when
 *   that is so of one of its partitions), or cannot be opened; TSB_TOO_SMALL when it is smaller than `size`
 */
export async function openBlockDeviceWriter(path: string, size: number): Promise<DiskWriter> {
  await assertUnused(path);
  const target = await openExclusively(path);
  try {
    await assertLargeEnough(target, size);
  } catch (error) {
    await target.handle.close();
    throw error;
  }
  return deviceWriter(target, size);
}

async function openExclusively(path: string): Promise<WriteTarget> {
  try {
    // On a block device O_EXCL without O_CREAT means: fail when the kernel itself uses it (mounted, in a RAID, ...).
    return { path, handle: await open(path, constants.O_RDWR | constants.O_EXCL) };
  } catch (error) {
    const reason = errnoOf(error) === 'EBUSY' ? 'is in use' : `cannot be opened: ${messageOf(error)}`;
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: ${reason}`, { cause: error });
  }
}

async function assertLargeEnough(target: WriteTarget, size: number): Promise<void> {
  const available = blockDeviceBytes(target.handle.fd) ?? (await blockDeviceSize(target.handle));
  if (available >= size) return;
  throw new TsbuilderError(
    'TSB_TOO_SMALL',
    `${target.path}: the device has ${available} bytes, the disk needs ${size}`,
    { details: { available, needed: size } },
  );
}

function deviceWriter(target: WriteTarget, size: number): DiskWriter {
  const covered: RangeSet = createRangeSet();
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await target.handle.close();
  };
  return {
    size,
    async write(offset, data) {
      assertInside(size, offset, data.length);
      await writeFully(target, offset, data);
      covered.add(offset, data.length);
    },
    async zero(offset, length) {
      assertInside(size, offset, length);
      await zeroDevice(target, offset, length);
      covered.add(offset, length);
    },
    async finish() {
      for (const gap of covered.gaps(size)) await zeroDevice(target, gap.offset, gap.length);
      await target.handle.sync().catch((error: unknown) => {
        throw writeError(target.path, error);
      });
      await close();
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Real zeros: a discard that guarantees them, else the kernel's own zeroing, else written ones. */
async function zeroDevice(target: WriteTarget, offset: number, length: number): Promise<void> {
  const end = offset + length;
  const start = Math.min(end, Math.ceil(offset / ZERO_ALIGNMENT) * ZERO_ALIGNMENT);
  const stop = Math.max(start, Math.floor(end / ZERO_ALIGNMENT) * ZERO_ALIGNMENT);
  await writeZeros(target, offset, start - offset);
  for (let at = start; at < stop; at += ZERO_STEP) {
    const step = Math.min(ZERO_STEP, stop - at);
    const { fd } = target.handle;
    const done = (await punchHole(fd, at, step)) || (await zeroBlockDevice(fd, at, step));
    if (!done) await writeZeros(target, at, step);
  }
  await writeZeros(target, stop, end - stop);
}
