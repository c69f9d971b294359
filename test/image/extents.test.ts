import { type FileHandle, open } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Extent, dataRanges, readExtents } from '../../src/image/extents.js';
import * as libc from '../../src/io/libc.js';
import { type TempFolder, tempFolder } from '../helpers/disk-tools.js';

vi.mock('../../src/io/libc.js', { spy: true });

const KIB = 1024;
let folder: TempFolder;
let handle: FileHandle;
beforeEach(async () => {
  folder = tempFolder();
  handle = await open(folder.file('disk'), 'w+');
});
afterEach(async () => {
  vi.mocked(libc.seekData).mockReset();
  vi.mocked(libc.seekHole).mockReset();
  await handle.close();
  folder[Symbol.dispose]();
});

async function extents(signal?: AbortSignal): Promise<Extent[]> {
  const found: Extent[] = [];
  for await (const extent of readExtents({ path: folder.file('disk'), handle }, signal)) found.push(extent);
  return found;
}

function withoutSeek(): void {
  vi.mocked(libc.seekData).mockReturnValue(undefined);
  vi.mocked(libc.seekHole).mockReturnValue(undefined);
}

describe.each([true, false])('readExtents, SEEK_DATA: %s', (seek) => {
  beforeEach(() => {
    if (!seek) withoutSeek();
  });

  it('finds nothing in an empty file', async () => {
    expect(await extents()).toEqual([]);
  });

  it('finds one hole, one run of data', async () => {
    await handle.truncate(10_000_000);
    expect(await extents()).toEqual([{ offset: 0, length: 10_000_000, data: false }]);
    await handle.write(Buffer.alloc(10_000_000, 1), 0, 10_000_000, 0);
    expect(await extents()).toEqual([{ offset: 0, length: 10_000_000, data: true }]);
  });

  it('finds data between holes', async () => {
    await handle.truncate(9000 * KIB + 1);
    await handle.write(Buffer.alloc(128 * KIB, 1), 0, 128 * KIB, 256 * KIB);
    await handle.write(Buffer.alloc(1, 1), 0, 1, 9000 * KIB);
    const tail = 9000 * KIB;
    expect(await extents()).toEqual([
      { offset: 0, length: 256 * KIB, data: false },
      { offset: 256 * KIB, length: 128 * KIB, data: true },
      { offset: 384 * KIB, length: tail - 384 * KIB, data: false },
      { offset: tail, length: 1, data: true },
    ]);
  });

  it('can be aborted', async () => {
    await handle.truncate(10_000_000);
    await handle.write(Buffer.alloc(1, 1), 0, 1, 0);
    await expect(extents(AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('dataRanges', () => {
  it('is the whole file where nobody can tell', () => {
    withoutSeek();
    expect([...dataRanges(handle.fd, 12345)]).toEqual([{ offset: 0, length: 12345 }]);
  });

  it('takes the rest as data when the file system contradicts itself', () => {
    vi.mocked(libc.seekData).mockReturnValue(0);
    vi.mocked(libc.seekHole).mockReturnValue(0);
    expect([...dataRanges(handle.fd, 100)]).toEqual([{ offset: 0, length: 100 }]);
  });
});
