import { open, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { IdText } from '../customize/id-text.js';
import type { IdSearch, SearchedFile } from '../customize/replace-ids.js';
import { openE2fsScratch } from '../io/e2fs-env.js';
import { type ExecResult, exec } from '../io/exec.js';
import { openScratchFolder } from '../io/scratch-folder.js';

/** A FAT filesystem on a disk, and how mtools are to work on it. */
export interface FatTarget {
  readonly path: string;
  /** Bytes. */
  readonly offset: number;
  /** For messages: `partition 1`. */
  readonly label: string;
  /** Seconds since 1970 for what is written. Default: now. */
  readonly fakeTime?: number | undefined;
  readonly signal: AbortSignal;
}

/** Names without the characters that mtools take for patterns. */
const PLAIN_NAME = /^::\/[^*?[\]\\"<>|\p{Cc}]+$/u;
/** No EFI system partition has more files. */
const MAX_FILES = 10_000;

/**
 * Looks through all files of a FAT filesystem for old ids.
 *
 * @returns the paths of the text files that have some
 * @throws TSB_GUEST where one cannot be replaced, TSB_TOOL_MISSING without mtools
 */
export async function searchFat(target: FatTarget, search: IdSearch): Promise<string[]> {
  await using folder = await openScratchFolder('fat');
  const { stdout } = await mtools(target, folder.path, ['mdir', '-/', '-a', '-b', '::']);
  const paths = stdout.split('\n').filter((line) => line.startsWith('::/') && !line.endsWith('/'));
  if (paths.length > MAX_FILES) search.refuse(target.label, `it has ${paths.length} files`);
  const found: string[] = [];
  for (const path of paths) {
    const label = `${path.slice(2)} on ${target.label}`;
    if (!PLAIN_NAME.test(path)) search.refuse(label, 'a file with this name cannot be searched');
    if (search.ids.find(Buffer.from(path)).length > 0) search.refuse(label, 'in its name');
    const copy = join(folder.path, 'file');
    await mtools(target, folder.path, ['mcopy', '-n', '-o', path, copy]);
    if ((await judgeCopy(copy, label, search)) === 'change') found.push(path);
    await rm(copy, { force: true });
  }
  return found;
}

/** Writes the files of `paths` anew with the new ids. */
export async function replaceInFat(target: FatTarget, paths: readonly string[], ids: IdText): Promise<void> {
  await using folder = await openScratchFolder('fat');
  for (const path of paths) {
    const copy = join(folder.path, 'file');
    await mtools(target, folder.path, ['mcopy', '-n', '-o', path, copy]);
    await using handle = await open(copy, 'r');
    const data = ids.replace(await handle.readFile());
    await writeFile(join(folder.path, 'new'), data);
    await mtools(target, folder.path, ['mcopy', '-D', 'o', join(folder.path, 'new'), path]);
    await rm(copy, { force: true });
  }
}

async function judgeCopy(copy: string, label: string, search: IdSearch): Promise<'change' | 'keep'> {
  const { size } = await stat(copy);
  await using handle = await open(copy, 'r');
  const file: SearchedFile = {
    label,
    size,
    async read(offset, length) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    },
  };
  return await search.judge(file, 'boot');
}

/** Runs one of mtools on the filesystem; they take `FILE@@OFFSET` for a drive. */
async function mtools(
  target: FatTarget,
  folder: string,
  [program, ...args]: readonly [string, ...string[]],
): Promise<ExecResult> {
  await using scratch = await openE2fsScratch(target.path, target.offset);
  const time = target.fakeTime === undefined ? {} : { SOURCE_DATE_EPOCH: String(target.fakeTime) };
  return await exec(program, ['-i', `${scratch.folder}/disk@@${target.offset}`, ...args], {
    cwd: folder,
    env: { ...time, TZ: 'UTC', MTOOLSRC: '/dev/null', MTOOLS_SKIP_CHECK: '1' },
    debianPackage: 'mtools',
    signal: target.signal,
  });
}
