import { open } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { writeError } from '../io/free-space.js';
import { punchHole } from '../io/libc.js';
import { type DiskWriter, assertInside } from './disk-writer.js';
import { type WriteTarget, writeFully, writeZeros } from './write-fully.js';
import { createWrittenMap } from './written-map.js';

/**
 * Opens the new, empty file `path` (made by `openOutputFile`) as a raw disk of `size` bytes. What is never written
 * stays a hole. The file's size is set once, upwards, and nothing is flushed.
 *
 * @throws TSB_OUTPUT_UNUSABLE when the file is not empty or cannot be that large, TSB_IO when it cannot be opened
 */
export async function openRawWriter(path: string, size: number): Promise<DiskWriter> {
  const target = await openEmptyFile(path);
  try {
    await target.handle.truncate(size);
  } catch (error) {
    await target.handle.close();
    throw writeError(path, error);
  }
  return rawWriter(target, size);
}

/**
 * The same for a disk that is written from its beginning to its end, by one call after the other, and whose size shows only then: it is
 * where the last call ended.
 *
 * @throws as `openRawWriter`
 */
export async function openGrowingRawWriter(path: string): Promise<DiskWriter> {
  const target = await openEmptyFile(path);
  let size = 0;
  const close = onceClosed(target);
  return {
    get size() {
      return size;
    },
    async write(offset, data) {
      size = Math.max(size, offset + data.length);
      await writeFully(target, offset, data);
    },
    zero(offset, length) {
      size = Math.max(size, offset + length);
      return Promise.resolve();
    },
    async finish() {
      await target.handle.truncate(size).catch((error: unknown) => {
        throw writeError(path, error);
      });
      await close();
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Opens the existing file `path` for reading and writing. Throws as `openRawWriter`. */
export async function openEmptyFile(path: string): Promise<WriteTarget> {
  const handle = await open(path, 'r+').catch((error: unknown) => {
    throw writeError(path, error);
  });
  const stat = await handle.stat();
  if (stat.isFile() && stat.size === 0) return { path, handle };
  await handle.close();
  throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: is not a new, empty file`);
}

function rawWriter(target: WriteTarget, size: number): DiskWriter {
  const written = createWrittenMap(size);
  const close = onceClosed(target);
  return {
    size,
    async write(offset, data) {
      assertInside(size, offset, data.length);
      written.mark(offset, data.length);
      await writeFully(target, offset, data);
    },
    async zero(offset, length) {
      assertInside(size, offset, length);
      if (!written.mayHold(offset, length)) return;
      if (!(await punchHole(target.handle.fd, offset, length))) await writeZeros(target, offset, length);
    },
    finish: close,
    [Symbol.asyncDispose]: close,
  };
}

/** Closes the file, once. */
function onceClosed(target: WriteTarget): () => Promise<void> {
  let closed = false;
  return async () => {
    if (closed) return;
    closed = true;
    await target.handle.close().catch((error: unknown) => {
      throw writeError(target.path, error);
    });
  };
}
