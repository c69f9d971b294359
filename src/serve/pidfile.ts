import { readFileSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { isLockedByOthers, lockShared } from '../io/libc.js';
import { openOutputFile } from '../io/output-file.js';

/** A file that will hold the number of this process. Disposing it removes the file if it is still this process's. */
export interface Pidfile extends AsyncDisposable {
  /** Lets the file appear, whole. @throws TSB_OUTPUT_EXISTS when another process came first; TSB_OUTPUT_UNUSABLE, TSB_NO_SPACE, TSB_IO */
  write(): Promise<void>;
}

/**
 * Checks that `path` can be a pidfile: it is missing, or was left by a server that has gone. A server holds a lock on its file, since a
 * number alone may by now be that of another process; where locks cannot be asked for, the number has to do.
 *
 * @throws TSB_LOCKED when that server is running; TSB_OUTPUT_EXISTS when it is some other file; TSB_OUTPUT_UNUSABLE when it cannot be read
 */
export async function openPidfile(path: string): Promise<Pidfile> {
  const stale = await isStale(path);
  let handle: FileHandle | undefined;
  // Also for a process that ends at once, as on a second signal.
  const remove = (): void => {
    if (handle && isOurs(path)) rmSync(path, { force: true });
  };
  return {
    async write() {
      await using file = await openOutputFile(path, { force: stale });
      await using written = await openWritten(file.tempPath);
      await file.commit();
      handle = written.keep();
      process.once('exit', remove);
    },
    async [Symbol.asyncDispose]() {
      process.off('exit', remove);
      remove();
      await handle?.close();
      handle = undefined;
    },
  };
}

/** Writes this process's number to `path` and locks it. Disposing the result closes the file, unless it was kept. */
async function openWritten(path: string): Promise<AsyncDisposable & { keep(): FileHandle }> {
  const handle = await open(path, 'r+');
  let kept = false;
  const result = {
    keep() {
      kept = true;
      return handle;
    },
    async [Symbol.asyncDispose]() {
      if (!kept) await handle.close();
    },
  };
  try {
    await handle.writeFile(`${process.pid}\n`);
    lockShared(handle.fd, { offset: 0, length: 1 });
    return result;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** @returns false when there is no file */
async function isStale(path: string): Promise<boolean> {
  let found: { readonly text: string; readonly locked: boolean | undefined };
  try {
    await using handle = await open(path, 'r');
    found = { text: await handle.readFile('latin1'), locked: isLockedByOthers(handle.fd) };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const pid = parsePid(found.text);
  if (pid === undefined) {
    throw new TsbuilderError('TSB_OUTPUT_EXISTS', `${path}: exists and is not a pidfile`, {
      hint: 'Choose another name, or remove the file.',
    });
  }
  if (!(found.locked ?? isRunning(pid))) return true;
  throw new TsbuilderError(
    'TSB_LOCKED',
    `${path}: is the pidfile of a server that is running: process ${pid}`,
    {
      hint: 'End it, or choose another pidfile.',
      details: { path, pid },
    },
  );
}

function isOurs(path: string): boolean {
  try {
    return parsePid(readFileSync(path, 'latin1')) === process.pid;
  } catch {
    return false;
  }
}

function parsePid(text: string): number | undefined {
  const digits = /^\s*([1-9]\d{0,9})\s*$/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
