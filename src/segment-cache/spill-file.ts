import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { writeError } from '../io/free-space.js';
import { readFully } from '../io/file-source.js';
import { tempName } from '../io/temp-name.js';

/** A sparse file without a name, in which decoded content lies at its own offsets. Gone when closed or when the process ends. */
export interface SpillFile extends AsyncDisposable {
  /** @throws TSB_NO_SPACE, TSB_IO */
  write(offset: number, data: Uint8Array): Promise<void>;
  /** Fills `target` with what was written at `offset`. @throws TSB_IO */
  read(offset: number, target: Uint8Array): Promise<void>;
}

/**
 * Makes a new file under `path`, or one with a name of its own if `path` is a folder, readable by this user only, and unlinks it at
 * once.
 *
 * @throws TSB_OUTPUT_EXISTS when the name is taken; TSB_OUTPUT_UNUSABLE or TSB_NO_SPACE when the file cannot be made
 */
export async function openSpillFile(path: string): Promise<SpillFile> {
  const folder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const file = folder ? join(path, tempName('cache')) : path;
  const handle = await open(file, 'wx+', 0o600).catch((error: unknown) => {
    throw cannotCreate(file, error);
  });
  try {
    await unlink(file);
  } catch (error) {
    await handle.close();
    throw cannotCreate(file, error);
  }
  return {
    write: (offset, data) => writeAll(file, handle, { offset, data }),
    read: (offset, target) => readFully(file, handle, { data: target, offset }),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

async function writeAll(
  name: string,
  handle: FileHandle,
  { offset, data }: { offset: number; data: Uint8Array },
): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await handle
      .write(data, done, data.length - done, offset + done)
      .catch((error: unknown) => {
        throw writeError(name, error);
      });
    done += bytesWritten;
  }
}

function cannotCreate(path: string, error: unknown): unknown {
  if (errnoOf(error) === 'EEXIST')
    return new TsbuilderError('TSB_OUTPUT_EXISTS', `${path}: exists already, the cache file must be new`, {
      hint: 'Name a file that does not exist, or a folder.',
      cause: error,
    });
  if (errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT') return writeError(path, error);
  return new TsbuilderError(
    'TSB_OUTPUT_UNUSABLE',
    `${path}: the cache file cannot be made: ${messageOf(error)}`,
    {
      hint: 'Choose a folder that you can write to.',
      cause: error,
    },
  );
}
