import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { isAllZero } from '../io/all-zero.js';
import { type ScratchFolder, openScratchFolder } from '../io/scratch-folder.js';
import type { FileContent } from './guest.js';

/** Content up to this size stays in memory. */
const IN_MEMORY = 16 * 1024;

/** Runs of zeros are left out as holes in pieces of this size. */
const PIECE = 64 * 1024;

/** Where the content of streams waits for the commit. */
export interface Spool extends AsyncDisposable {
  /** Reads `stream` to its end. @throws TSB_NO_SPACE, TSB_IO, and whatever the stream throws */
  keep(stream: AsyncIterable<Uint8Array>): Promise<FileContent>;
}

/** A spool without a folder yet: one is made for the first content that needs it, and removed when this is disposed of. */
export function openSpool(): Spool {
  let folder: Promise<ScratchFolder> | undefined;
  let count = 0;
  return {
    async keep(stream) {
      const head: Uint8Array[] = [];
      let size = 0;
      let file: SpoolFile | undefined;
      try {
        for await (const chunk of stream) {
          size += chunk.length;
          if (size <= IN_MEMORY) {
            head.push(Uint8Array.from(chunk));
            continue;
          }
          if (!file) {
            folder ??= openScratchFolder('spool');
            count += 1;
            file = await createFile(join((await folder).path, String(count)));
            for (const early of head.splice(0)) await file.append(early);
          }
          await file.append(chunk);
        }
        await file?.end();
      } finally {
        await file?.handle.close();
      }
      return file ? { hostFile: file.path } : Buffer.concat(head);
    },
    [Symbol.asyncDispose]: async () => {
      await (await folder)?.[Symbol.asyncDispose]();
    },
  };
}

interface SpoolFile {
  readonly path: string;
  readonly handle: FileHandle;
  append(chunk: Uint8Array): Promise<void>;
  /** Gives the file its size, which holes at its end do not. */
  end(): Promise<void>;
}

async function createFile(path: string): Promise<SpoolFile> {
  const handle = await open(path, 'wx', 0o600);
  let offset = 0;
  return {
    path,
    handle,
    async append(chunk) {
      for (let at = 0; at < chunk.length; at += PIECE) {
        const piece = chunk.subarray(at, at + PIECE);
        if (!isAllZero(piece)) await writePiece(handle, { path, piece, offset });
        offset += piece.length;
      }
    },
    end: () => handle.truncate(offset),
  };
}

async function writePiece(
  handle: FileHandle,
  { path, piece, offset }: { path: string; piece: Uint8Array; offset: number },
): Promise<void> {
  try {
    for (let done = 0; done < piece.length;) {
      done += (await handle.write(piece, done, piece.length - done, offset + done)).bytesWritten;
    }
  } catch (error) {
    const code = errnoOf(error) === 'ENOSPC' ? 'TSB_NO_SPACE' : 'TSB_IO';
    throw new TsbuilderError(code, `${path}: content for the guest cannot be kept: ${messageOf(error)}`, {
      hint: 'Set TMPDIR to a folder with more room.',
      cause: error,
    });
  }
}
