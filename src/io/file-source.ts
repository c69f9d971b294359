import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { type ByteSource, assertRange } from './byte-source.js';

/** A local file or block device. */
export interface FileSource extends ByteSource {
  /** Its descriptor: to ask for holes, not to be closed. */
  readonly fd: number;
}

/**
 * Opens a regular file or block device for random access.
 *
 * @returns a source whose size is the file's length at open
 * @throws TSB_NOT_FOUND when there is no such file, TSB_IO when it cannot be opened or is not a file or block device
 */
export async function openFileSource(path: string): Promise<FileSource> {
  const handle = await openForReading(path);
  try {
    return fileSource(path, handle, await readableSize(path, handle));
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function fileSource(path: string, handle: FileHandle, size: number): FileSource {
  const source: FileSource = {
    name: path,
    fd: handle.fd,
    size,
    async read(offset, length, signal) {
      assertRange(source, offset, length);
      const data = Buffer.allocUnsafeSlow(length);
      await readFully(path, handle, { data, offset, signal });
      return data;
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
  return source;
}

/**
 * Fills `data` from `handle` starting at file position `offset`.
 *
 * @throws TSB_IO on a read error or when the file ends first
 */
export async function readFully(
  name: string,
  handle: FileHandle,
  range: { data: Uint8Array; offset: number; signal?: AbortSignal | undefined },
): Promise<void> {
  const { data, offset, signal } = range;
  for (let done = 0; done < data.length;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle
      .read(data, done, data.length - done, offset + done)
      .catch((error: unknown) => {
        throw new TsbuilderError('TSB_IO', `${name}: cannot read at ${offset + done}: ${messageOf(error)}`, {
          cause: error,
        });
      });
    if (bytesRead === 0) {
      throw new TsbuilderError(
        'TSB_IO',
        `${name}: ends at ${offset + done}, expected ${data.length - done} more bytes: the file became shorter while it was used`,
      );
    }
    done += bytesRead;
  }
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    // A pipe that nobody writes to would be waited for, and is refused afterwards.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw openError(path, error);
  }
}

/** The error to throw when the file `path` could not be opened to be read: TSB_NOT_FOUND where there is none, TSB_IO otherwise. */
export function openError(path: string, error: unknown): TsbuilderError {
  return errnoOf(error) === 'ENOENT'
    ? new TsbuilderError('TSB_NOT_FOUND', `${path}: no such file`, { cause: error })
    : new TsbuilderError('TSB_IO', `${path}: cannot be opened: ${messageOf(error)}`, { cause: error });
}

/** The length of a regular file, or of a block device by seeking its end through a bounded search of readable bytes. */
async function readableSize(path: string, handle: FileHandle): Promise<number> {
  const stat = await handle.stat();
  if (stat.isFile()) return stat.size;
  if (stat.isBlockDevice()) return blockDeviceSize(handle);
  throw new TsbuilderError('TSB_IO', `${path}: is not a file or a block device`);
}

/** Size in bytes of an open block device: the highest readable 512-byte sector, found by doubling and bisection. */
export async function blockDeviceSize(handle: FileHandle): Promise<number> {
  const sector = Buffer.alloc(512);
  const readable = async (index: number): Promise<boolean> =>
    (await handle.read(sector, 0, 512, index * 512).catch(() => ({ bytesRead: 0 }))).bytesRead === 512;
  if (!(await readable(0))) return 0;
  let low = 0;
  let high = 1;
  while (await readable(high)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (await readable(middle)) low = middle;
    else high = middle;
  }
  return (low + 1) * 512;
}
