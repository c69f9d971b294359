import { readFileSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { openOutputFile } from '../io/output-file.js';

/** A file that will hold the number of this process. Disposing it removes the file if it is still this process's. */
export interface Pidfile extends AsyncDisposable {
  /** Lets the file appear, whole. @throws TSB_OUTPUT_EXISTS when another process came first; TSB_OUTPUT_UNUSABLE, TSB_NO_SPACE, TSB_IO */
  write(): Promise<void>;
}

/**
 * Checks that `path` can be a pidfile: it is missing, or holds the number of a process that has gone.
 *
 * @throws TSB_LOCKED when that process is running; TSB_OUTPUT_EXISTS when it is some other file; TSB_OUTPUT_UNUSABLE when it cannot be read
 */
export async function openPidfile(path: string): Promise<Pidfile> {
  const stale = await holdsDeadProcess(path);
  let written = false;
  // Also for a process that ends at once, as on a second signal.
  const remove = (): void => {
    if (written && isOurs(path)) rmSync(path, { force: true });
    written = false;
  };
  return {
    async write() {
      await using file = await openOutputFile(path, { force: stale });
      await writeFile(file.tempPath, `${process.pid}\n`);
      await file.commit();
      written = true;
      process.once('exit', remove);
    },
    [Symbol.asyncDispose]() {
      process.off('exit', remove);
      remove();
      return Promise.resolve();
    },
  };
}

/** @returns false when there is no file */
async function holdsDeadProcess(path: string): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(path, 'latin1');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const pid = parsePid(text);
  if (pid === undefined) {
    throw new TsbuilderError('TSB_OUTPUT_EXISTS', `${path}: exists and is not a pidfile`, {
      hint: 'Choose another name, or remove the file.',
    });
  }
  if (!isRunning(pid)) return true;
  throw new TsbuilderError('TSB_LOCKED', `${path}: process ${pid}, which the file names, is running`, {
    hint: 'End it, or choose another pidfile.',
    details: { path, pid },
  });
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
