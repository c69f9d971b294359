import { open } from 'node:fs/promises';
import { readExtents } from '../image/extents.js';
import { openQcow2Source } from '../image/qcow2-source.js';
import type { ByteSource } from '../io/byte-source.js';
import { forEachParallel } from '../io/parallel.js';
import type { DiskContent, OpenContentOptions } from './disk-content.js';

const CHUNK = 4 * 1024 * 1024;

interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly data: boolean;
}

/** The disk that `source` is. */
export async function rawContent(source: ByteSource, options: OpenContentOptions): Promise<DiskContent> {
  const known = options.path === undefined ? undefined : await fileExtents(options.path, options.signal);
  return flatContent('raw', source, known ?? [{ offset: 0, length: source.size, data: true }]);
}

/**
 * The disk inside a qcow2 image.
 *
 * @throws TSB_IMAGE_INVALID as `openQcow2Source`
 */
export async function qcow2Content(
  source: ByteSource,
  signal: AbortSignal | undefined,
): Promise<DiskContent> {
  const disk = await openQcow2Source(source, signal);
  return flatContent('qcow2', disk, await merged(disk.extents(signal)));
}

function flatContent(
  container: DiskContent['container'],
  disk: ByteSource,
  extents: readonly Extent[],
): DiskContent {
  const data = extents.filter((extent) => extent.data);
  const dataBytes = data.reduce((sum, { length }) => sum + length, 0);
  return {
    container,
    size: disk.size,
    streamedBytes: dataBytes,
    disk,
    estimatedAllocation: dataBytes,
    async stream(sink, { jobs, signal, onProgress }) {
      for (const { offset, length } of extents.filter((extent) => !extent.data))
        await sink.zero(offset, length);
      const copy = async ({ offset, length }: Omit<Extent, 'data'>, inner: AbortSignal): Promise<void> => {
        await sink.data(offset, await disk.read(offset, length, inner), inner);
        onProgress?.(length);
      };
      await forEachParallel(chunks(data), copy, { jobs, signal });
    },
    // The bytes that were streamed are the file's own: there is nothing else that could have been read differently.
    confirm: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The extents of a file; undefined for a device, which has none. */
async function fileExtents(path: string, signal: AbortSignal | undefined): Promise<Extent[] | undefined> {
  const handle = await open(path, 'r');
  try {
    if (!(await handle.stat()).isFile()) return undefined;
    return await merged(readExtents({ path, handle }, signal));
  } finally {
    await handle.close();
  }
}

/** The extents as a list, neighbours that are alike joined. */
async function merged(extents: AsyncIterable<Extent>): Promise<Extent[]> {
  const list: Extent[] = [];
  for await (const extent of extents) {
    const last = list.at(-1);
    if (last?.data === extent.data) list[list.length - 1] = { ...last, length: last.length + extent.length };
    else list.push(extent);
  }
  return list;
}

function* chunks(extents: readonly Extent[]): Iterable<Omit<Extent, 'data'>> {
  for (const { offset, length } of extents) {
    for (let done = 0; done < length; done += CHUNK) {
      yield { offset: offset + done, length: Math.min(CHUNK, length - done) };
    }
  }
}
