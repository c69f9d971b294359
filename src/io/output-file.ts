import { type FileHandle, chmod, chown, lstat, open, stat, unlink } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { copyXattrs, removeAcl } from './file-xattrs.js';
import { writeError } from './free-space.js';
import { readMounts } from './mounts.js';
import { placeFile, replaceFile } from './place-file.js';
import { sweepTempFiles, tempName } from './temp-name.js';

/** How an output comes into being. */
export interface OutputOptions {
  /** Take the place of an existing file. Default: refuse. */
  readonly force?: boolean | undefined;
  /** Wait until the content and the name are on the disk. Default: leave that to the kernel. */
  readonly sync?: boolean | undefined;
}

/** A file that is still being made. Disposing it before `commit` removes what was made. */
export interface OutputFile extends AsyncDisposable {
  /** The absolute path that the file will have. */
  readonly path: string;
  /**
   * Where it is made: in the same folder, mode 0666 less the umask, or 0600 where it takes another file's place, empty at first. Tools may open or
   * replace it.
   */
  readonly tempPath: string;
  /**
   * Lets the file appear whole under its name. The file under `tempPath` must be closed by then.
   *
   * @throws TSB_OUTPUT_EXISTS when another file took the name meanwhile and `force` was not given; TSB_NO_SPACE,
   *   TSB_OUTPUT_UNUSABLE or TSB_IO when it cannot; an existing file is then as it was
   */
  commit(): Promise<void>;
}

/**
 * Begins a new file. Everything that can be known to go wrong is checked here, before any work: a name that is taken,
 * that cannot be a file, or whose folder is missing or read-only. Temporary files that dead processes left behind
 * for the same output are removed.
 *
 * ext4 writes a file out at close when it was truncated to zero, and at a rename over an existing name; this file
 * never meets either, so a large image costs no flush (only `sync` asks for one).
 *
 * @throws TSB_OUTPUT_EXISTS, TSB_OUTPUT_UNUSABLE, TSB_NO_SPACE, or TSB_LOCKED when another process is making the same
 *   file now
 */
export async function openOutputFile(path: string, options: OutputOptions = {}): Promise<OutputFile> {
  const target = resolve(path);
  if (path === '' || path.endsWith('/')) throw unusable(path, 'is not the name of a file');
  await assertFolder(dirname(target));
  await sweepTempFiles(target);
  const existing = await examineTarget(target);
  if (existing && !options.force) throw existsError(target);
  // A private disk stays private while its successor is made: who may use that is set at the end.
  const tempPath = await createTemp(target, existing ? 0o600 : undefined);
  let open = true;
  return {
    path: target,
    tempPath,
    async commit() {
      if (!open) throw new Error(`${target}: committed or disposed already`);
      await commitFile(tempPath, target, options);
      open = false;
    },
    async [Symbol.asyncDispose]() {
      if (open) await removeQuietly(tempPath);
      open = false;
    },
  };
}

/** A working file that will never have a name of its own: `tempPath` is beside the output it serves. */
export interface ScratchFile extends AsyncDisposable {
  readonly tempPath: string;
}

/**
 * An empty temporary file in the folder of `path`, removed when disposed, or, if this process dies, when the output
 * `path` is opened the next time.
 *
 * @throws TSB_OUTPUT_UNUSABLE or TSB_NO_SPACE when it cannot be made
 */
export async function openScratchFile(path: string): Promise<ScratchFile> {
  const tempPath = await createTemp(resolve(path), undefined);
  return { tempPath, [Symbol.asyncDispose]: () => removeQuietly(tempPath) };
}

/** The file that has the name now, if any. */
async function examineTarget(target: string): Promise<Stats | undefined> {
  const found = await lstat(target).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw cannotCreate(target, error);
  });
  if (found && !found.isFile()) {
    throw unusable(target, `is ${kindOf(found)}, not a file`, 'Name a file as the output.');
  }
  if (found && (await readMounts()).some((mount) => mount.mountPoint === target)) {
    throw unusable(target, 'is a mount point and cannot be replaced', 'Choose another name.');
  }
  return found;
}

async function assertFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch((error: unknown) => {
    const missing = errnoOf(error) === 'ENOENT';
    throw unusable(
      folder,
      missing ? 'no such folder' : `cannot be used: ${messageOf(error)}`,
      missing ? `Make it first: mkdir -p '${folder}'` : undefined,
    );
  });
  if (!found.isDirectory()) throw unusable(folder, 'is not a folder');
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder';
  if (found.isSymbolicLink()) return 'a symbolic link';
  if (found.isCharacterDevice()) return 'a character device';
  if (found.isBlockDevice()) return 'a block device';
  return found.isFIFO() ? 'a pipe' : 'a socket';
}

async function createTemp(target: string, mode: number | undefined): Promise<string> {
  for (;;) {
    const path = join(dirname(target), tempName(basename(target)));
    try {
      const handle = await open(path, 'wx', mode ?? 0o666);
      await handle.close();
      return path;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw cannotCreate(target, error);
    }
  }
}

async function commitFile(tempPath: string, target: string, options: OutputOptions): Promise<void> {
  try {
    if (options.force) await keepAttributes(tempPath, target);
    if (options.sync) await syncPath(tempPath);
    await (options.force ? replaceFile(tempPath, target) : placeFile(tempPath, target));
    if (options.sync) await syncPath(dirname(target));
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw existsError(target, error);
    throw writeError(target, error);
  }
}

/** Gives the new file the mode and, as far as this user may, the owner, group and attributes of the file whose place it takes. */
async function keepAttributes(tempPath: string, target: string): Promise<void> {
  const old = await lstat(target).catch(() => undefined);
  if (!old?.isFile()) return;
  removeAcl(tempPath);
  const keptGroup = await keepOwner(tempPath, old);
  const mode = old.mode & 0o777;
  // Another group gets no more than everybody.
  await chmod(tempPath, keptGroup ? mode : (mode & ~0o070) | ((mode & 0o007) << 3));
  if (keptGroup) copyXattrs(target, tempPath);
}

/** Returns whether the group is that of `old` then. Who may not give a file away may still give it to a group of theirs. */
async function keepOwner(path: string, old: Stats): Promise<boolean> {
  const fresh = await stat(path);
  if (fresh.uid !== old.uid && (await mayChown(path, old))) return true;
  return fresh.gid === old.gid || mayChown(path, { uid: fresh.uid, gid: old.gid });
}

async function mayChown(path: string, { uid, gid }: { uid: number; gid: number }): Promise<boolean> {
  return chown(path, uid, gid).then(
    () => true,
    () => false,
  );
}

async function syncPath(path: string): Promise<void> {
  const handle: FileHandle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeQuietly(path: string): Promise<void> {
  await unlink(path).catch(() => undefined);
}

function existsError(target: string, cause?: unknown): TsbuilderError {
  const when = cause === undefined ? 'exists already' : 'was made by someone else meanwhile';
  return new TsbuilderError('TSB_OUTPUT_EXISTS', `${target}: ${when}`, {
    hint: 'Choose another name, or --force to replace it.',
    cause,
  });
}

function unusable(path: string, problem: string, hint?: string): TsbuilderError {
  return new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: ${problem}`, { hint });
}

function cannotCreate(target: string, error: unknown): unknown {
  const code = errnoOf(error);
  if (code === 'ENAMETOOLONG') return unusable(target, 'the name is too long for its filesystem');
  if (code === 'ENOSPC' || code === 'EDQUOT') return writeError(target, error);
  const folder = dirname(target);
  const reasons: Record<string, string> = {
    EROFS: 'its filesystem is read-only',
    EACCES: 'no permission to make files there',
    EPERM: 'making files there is not permitted',
  };
  return new TsbuilderError(
    'TSB_OUTPUT_UNUSABLE',
    `${target}: cannot be made in ${folder}: ${reasons[code ?? ''] ?? messageOf(error)}`,
    { hint: 'Choose an output in a folder you can write to.', cause: error },
  );
}
