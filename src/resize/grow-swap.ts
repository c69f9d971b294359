import { open } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { readFully } from '../io/file-source.js';
import { placeOf } from './grow-ext.js';
import type { GrowStep } from './resize-plan.js';

const MAX_PAGE = 65536;
const VERSION = 1024;
const LAST_PAGE = 1028;
const BAD_PAGES = 1032;
const PAGE_SIZES = [4096, 8192, 16384, 32768, 65536];

/**
 * Makes the swap area as long as its partition: the header (Linux, include/linux/swap.h, version 1) is written anew with its
 * UUID, label, page size and byte order, a longer last page and no bad pages. Swapped-out content is of no use.
 *
 * @throws TSB_FILESYSTEM when the header is not one
 */
export async function growSwap(disk: string, step: GrowStep, signal?: AbortSignal): Promise<void> {
  const handle = await open(disk, 'r+');
  try {
    const header = Buffer.alloc(Math.min(MAX_PAGE, step.length));
    await readFully(disk, handle, { data: header, offset: step.offset, signal });
    const pageSize = PAGE_SIZES.find((size) => header.toString('latin1', size - 10, size) === 'SWAPSPACE2');
    if (pageSize === undefined)
      throw new TsbuilderError('TSB_FILESYSTEM', `${disk}: ${placeOf(step)} has no swap header any more`);
    const little = header.readUInt32LE(VERSION) === 1;
    const lastPage = Math.min(Math.floor(step.length / pageSize) - 1, 0xffffffff);
    if (little) header.writeUInt32LE(lastPage, LAST_PAGE);
    else header.writeUInt32BE(lastPage, LAST_PAGE);
    header.writeUInt32LE(0, BAD_PAGES);
    await handle.write(header, 0, pageSize, step.offset);
  } finally {
    await handle.close();
  }
}
