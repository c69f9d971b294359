import { openDiskContent } from '../../build/disk-content.js';
import { TsbuilderError } from '../../errors.js';
import { isQcow2 } from '../../image/qcow2-info.js';
import type { ByteSource } from '../../io/byte-source.js';
import { openFileSource } from '../../io/file-source.js';
import { readXzIndex } from '../../xz/xz-index.js';

/** The disk in a file, packed or not. */
export interface ContentDisk {
  readonly disk: ByteSource;
  /** What an index says of what is packed: a disk that is not packed yet is packed as raw. */
  readonly format: 'raw' | 'qcow2';
  readonly packed: boolean;
}

/** A larger block would have to be decoded as a whole for one byte in it. */
const LARGEST_BLOCK = 128 * 1024 * 1024;

/** Opens the disk in the file at `path`, which may be packed, and then be a qcow2 image, for `look`. @throws the codes of `openDiskContent` */
export async function withContentDisk<T>(
  path: string,
  signal: AbortSignal,
  look: (content: ContentDisk) => Promise<T>,
): Promise<T> {
  await using source = await openFileSource(path);
  await using content = await openDiskContent(source, { path, signal });
  const { disk } = content;
  if (content.container !== 'xz') return await look({ disk, format: 'raw', packed: false });
  const head = await disk.read(0, Math.min(4, content.size), signal);
  if (!isQcow2(head)) return await look({ disk, format: 'raw', packed: true });
  await using inner = await openDiskContent(disk, { signal });
  return await look({ disk: inner.disk, format: 'qcow2', packed: true });
}

/**
 * Decodes the whole of a packed template, which messages call `name`, and nothing is done with it: so that what is published is known to be whole.
 *
 * @throws TSB_XZ_CORRUPT, and TSB_XZ_UNSUPPORTED when its blocks are too large to be read one by one
 */
export async function assertWholeXz(
  { path, name }: { readonly path: string; readonly name: string },
  options: { jobs: number; signal: AbortSignal; onProgress: (bytes: number) => void },
): Promise<void> {
  await using file = await openFileSource(path);
  const source = { ...file, name };
  const index = await readXzIndex(source, options);
  for (const { uncompressedSize } of index.blocks()) {
    if (uncompressedSize > LARGEST_BLOCK) {
      throw new TsbuilderError(
        'TSB_XZ_UNSUPPORTED',
        `${name}: has a block of ${uncompressedSize} bytes, at most ${LARGEST_BLOCK} are published`,
        { hint: 'Pack it anew in small blocks: tsbuilder repack' },
      );
    }
  }
  await using content = await openDiskContent(source, options);
  await content.stream({ data: () => Promise.resolve(), zero: () => Promise.resolve() }, options);
}
